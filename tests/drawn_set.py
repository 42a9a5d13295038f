"""A data set of noise in the layout of DukeMTMC-reID: twelve people, queries and gallery."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PIL import Image

PIDS = range(30, 42)


def draw(path: Path, size: tuple[int, int] = (32, 64)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = random.Random(path.name).randbytes(3 * size[0] * size[1])
    # PNG content under the name that FastReID looks for: what is visible can be compared exactly.
    Image.frombytes("RGB", size, pixels).save(path, format="PNG")


def make_set(root: Path, folder: str = "DukeMTMC-reID") -> Path:
    for pid in PIDS:
        draw(root / folder / "query" / f"{pid:04d}_c1_f0000001.jpg")
        for camera in (2, 3):
            draw(root / folder / "bounding_box_test" / f"{pid:04d}_c{camera}_f0000002.jpg")
    for pid in (1, 2):
        draw(root / folder / "bounding_box_train" / f"{pid:04d}_c2_f0000003.jpg")
    return root


def pixels(path: Path | str) -> np.ndarray:
    return np.asarray(Image.open(path))
