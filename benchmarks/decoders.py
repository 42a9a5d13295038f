"""Which decoder is the fastest that gives the pixels of Pillow, by which networks were trained?

    OMP_NUM_THREADS=1 python -m benchmarks.decoders

Drawn people as JPEG files of 64 x 128 in memory; each is decoded, and resized to 128 x 256 by cubic
interpolation as the test transform does it. "Off by" is the largest difference of a pixel, of 255.
OpenCV is no dependency: its row is left out where it is not installed.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

from benchmarks.bench import commit, no_options, report, time_in_turn
from benchmarks.extraction import drawn_files

IMAGES, ROUNDS = 256, 7
WIDTH, HEIGHT = 128, 256
Decode = Callable[[bytes], Any]
Steps = tuple[Decode, Callable[[Any], np.ndarray], Callable[[Any], np.ndarray]]


def decoders() -> dict[str, Steps]:
    """For each decoder: from a file's bytes to its image, to pixels (H, W, 3), to resized ones."""
    found: dict[str, Steps] = {
        "Pillow": (
            lambda data: Image.open(io.BytesIO(data)).convert("RGB"),
            np.asarray,
            lambda image: np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)),
        ),
        "torchvision.io": (
            lambda data: decode_jpeg(
                torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB
            ),
            lambda image: image.permute(1, 2, 0).numpy(),
            lambda image: (
                resize(image, [HEIGHT, WIDTH], InterpolationMode.BICUBIC, antialias=True)
                .permute(1, 2, 0)
                .numpy()
            ),
        ),
    }
    try:
        import cv2
    except ImportError:
        return found
    found["OpenCV"] = (
        lambda data: cv2.cvtColor(
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
        ),
        np.asarray,
        lambda image: cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC),
    )
    return found


def measure(files: Sequence[bytes], rounds: int) -> list[dict[str, Any]]:
    """A row for each decoder; differences are those from the first, Pillow."""
    ways = decoders()
    work: dict[str, Callable[[], Any]] = {}
    for name, (decode, _, resized) in ways.items():
        work[name] = lambda decode=decode: [decode(data) for data in files]
        work[f"{name}, resized"] = lambda decode=decode, resized=resized: [
            resized(decode(data)) for data in files
        ]
    seconds = time_in_turn(work, rounds)

    def off(name: str, step: int) -> int:
        (first, *steps), (mine, *own) = ways["Pillow"], ways[name]
        return max(
            int(np.abs(own[step](mine(x)).astype(int) - steps[step](first(x)).astype(int)).max())
            for x in files
        )

    return [
        {
            "decoder": name,
            "images/s, decoded": len(files) / seconds[name]["median"],
            "off by": off(name, 0),
            "images/s, resized as well": len(files) / seconds[f"{name}, resized"]["median"],
            "then off by": off(name, 1),
        }
        for name in ways
    ]


def main(images: int = IMAGES, rounds: int = ROUNDS) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(path).read_bytes() for path, *_ in drawn_files(Path(folder), images)]
    report("decoders", f"{images} JPEG files of 64 x 128", measure(files, rounds), commit=commit())


if __name__ == "__main__":
    no_options(__doc__)
    main()
