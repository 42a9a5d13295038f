"""`SyntheticPartial`: drawn pedestrians, whole in the gallery, cut or hidden in the queries.

It needs no download, so a complete training and evaluation can run anywhere. Its numbers say
whether the machinery works and which distance copes with missing parts, not how well people are
found in real pictures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.bases import ImageDataset

from ..images.lists import Item
from ..images.made_folder import make_folder
from ..runtime.progress import progress
from .camera import CAMERAS
from .identity import rng_of
from .images import HEIGHT, WIDTH, PartialQuery, cut_query, hidden_query, whole_image

# To be raised with every change that alters a pixel: folders of older drawings are then refused.
DRAWING_VERSION = 1
TRAIN_SHOTS = 2  # per camera
GALLERY_CAMERAS = 4  # of CAMERAS; the queries come from the others
PARTS = ("train", "query", "gallery")
NAME = re.compile(r"(\d{4,})_c(\d)_(\d\d)\.png")

# Part, identity, camera (from 0), shot (from 0).
Address = tuple[str, int, int, int]


def plan(seed: int, train_ids: int, test_ids: int) -> Iterator[Address]:
    """Every picture of the set.

    Training identities are seen twice by each camera. A test identity is seen whole by four
    cameras (gallery) and by the two others once cut (shot 1) and once hidden (shot 2): each query
    has four matches, all from other cameras than its own.
    """
    for number in range(train_ids):
        for camera in range(CAMERAS):
            for shot in range(TRAIN_SHOTS):
                yield "train", number, camera, shot
    for number in range(train_ids, train_ids + test_ids):
        order = [int(camera) for camera in rng_of(seed, "split", number).permutation(CAMERAS)]
        for camera in order[:GALLERY_CAMERAS]:
            yield "gallery", number, camera, 0
        for camera in order[GALLERY_CAMERAS:]:
            yield "query", number, camera, 1
            yield "query", number, camera, 2


def file_name(number: int, camera: int, shot: int) -> str:
    """Identities count from 0, cameras and shots from 1, as in Market-1501's names."""
    return f"{number:04d}_c{camera + 1}_{shot + 1:02d}.png"


def _write(path: Path, image: np.ndarray) -> None:
    ok, code = cv2.imencode(".png", image[..., ::-1])
    if not ok:
        raise RuntimeError(f"OpenCV could not encode {path.name} as PNG: is its build complete?")
    path.write_bytes(code.tobytes())


def _record(query: PartialQuery) -> dict[str, object]:
    return {
        "kind": query.kind,
        "what": query.what,
        "kept": list(query.kept),
        "missing": list(query.missing),
        "visible": round(query.visible, 4),
    }


def build(folder: Path, seed: int, train_ids: int, test_ids: int) -> dict[str, object]:
    """Draw all pictures into an empty folder.

    Returns:
        What the manifest records: the number of pictures per part, and for each query file what
        it lacks, `kept` and `missing` being (x0, y0, x1, y1) in pixels of the whole picture.
    """
    for part in PARTS:
        (folder / part).mkdir()
    counts = dict.fromkeys(PARTS, 0)
    queries: dict[str, dict[str, object]] = {}
    addresses = list(plan(seed, train_ids, test_ids))
    for part, number, camera, shot in progress(
        addresses, len(addresses), "drawing of SyntheticPartial", "pictures"
    ):
        name = file_name(number, camera, shot)
        if part == "query":
            partial = (cut_query if shot == 1 else hidden_query)(seed, number, camera, shot)
            queries[name], image = _record(partial), partial.image
        else:
            image = whole_image(seed, number, camera, shot)
        _write(folder / part / name, image)
        counts[part] += 1
    made_with = {"opencv": cv2.__version__, "numpy": np.__version__}
    return {"counts": counts, "queries": queries, "made_with": made_with}


def _checked(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
    return value


@DATASET_REGISTRY.register()
class SyntheticPartial(ImageDataset):
    """Drawn pedestrians for partial re-identification.

    By default 100 training identities with 12 whole pictures each, and 60 others with 4 whole
    gallery pictures and 4 queries (2 cut, 2 hidden by objects) each. The folder is drawn on first
    use and found again later; equal arguments give equal pictures.

    Args:
        root: the data root; the folder is made there (or in the cache, where it is read-only).
        synthetic_seed: of everything: people, cameras, places, poses; from 0.
        synthetic_train_ids: number of training identities, at least 2.
        synthetic_test_ids: number of test identities, at least 2.
        **kwargs: as for `ImageDataset` (mode, combineall, ...).

    Raises:
        ValueError: a seed or a number of identities out of range.
        RuntimeError: the folder cannot be written, or has lost pictures.
    """

    dataset_name = "syntheticpartial"

    @staticmethod
    def arguments_from(cfg: Any) -> dict[str, Any]:
        """What `catalogue.load_dataset` passes to the constructor beside what FastReID does."""
        keys = cfg.DATASETS.SYNTHETIC
        return {
            "synthetic_seed": keys.SEED,
            "synthetic_train_ids": keys.TRAIN_IDS,
            "synthetic_test_ids": keys.TEST_IDS,
        }

    def __init__(
        self,
        root: str | os.PathLike[str] = "datasets",
        synthetic_seed: int = 0,
        synthetic_train_ids: int = 100,
        synthetic_test_ids: int = 60,
        **kwargs: Any,
    ) -> None:
        seed = _checked("synthetic_seed", synthetic_seed, 0, 2**31 - 1)
        train_ids = _checked("synthetic_train_ids", synthetic_train_ids, 2, 5000)
        test_ids = _checked("synthetic_test_ids", synthetic_test_ids, 2, 5000)
        recipe: Mapping[str, object] = {
            "set": "SyntheticPartial",
            "drawing": DRAWING_VERSION,
            "seed": seed,
            "train_ids": train_ids,
            "test_ids": test_ids,
            "size": [HEIGHT, WIDTH],
        }
        self.folder = make_folder(
            root,
            f"SyntheticPartial-seed{seed}-{train_ids}x{test_ids}",
            recipe,
            lambda folder: build(folder, seed, train_ids, test_ids),
        )
        expected = dict.fromkeys(PARTS, 0)
        for part, *_ in plan(seed, train_ids, test_ids):
            expected[part] += 1
        items = {part: self._items(part) for part in PARTS}
        for part in PARTS:
            if len(items[part]) != expected[part]:
                raise RuntimeError(
                    f'"{self.folder / part}" holds {len(items[part])} pictures instead of '
                    f"{expected[part]}. Remove {self.folder} (it is drawn again)."
                )
        super().__init__(items["train"], items["query"], items["gallery"], **kwargs)

    def _items(self, part: str) -> list[Item]:
        """(path, pid, camid) of one part, sorted by name; training labels as FastReID has them."""
        items: list[Item] = []
        for path in sorted((self.folder / part).glob("*.png")):
            match = NAME.fullmatch(path.name)
            if match is None:
                continue
            pid, camid = int(match[1]), int(match[2]) - 1
            if part == "train":
                items.append(
                    (str(path), f"{self.dataset_name}_{pid}", f"{self.dataset_name}_{camid}")
                )
            else:
                items.append((str(path), pid, camid))
        return items
