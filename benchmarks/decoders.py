"""Which decoder is the fastest that gives the pixels of Pillow, by which networks were trained?

    OMP_NUM_THREADS=1 python -m benchmarks.decoders

Drawn people as JPEG files of 64 x 128 in memory; each is decoded, and resized to 128 x 256 by cubic
interpolation as the test transform does it. "Off by" is the largest difference of a pixel, of 255;
after resizing also that at other sizes, to which `INPUT.KEEP_RATIO` resizes cut images.
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
TIMED = (128, 256)
SIZES = (TIMED, (128, 240), (96, 256), (100, 200), (40, 64))  # width, height
Decode = Callable[[bytes], Any]
Steps = tuple[Decode, Callable[[Any], np.ndarray], Callable[[Any, tuple[int, int]], np.ndarray]]


def decoders() -> dict[str, Steps]:
    """For each decoder: from a file's bytes to its image, to pixels (H, W, 3), to resized ones."""

    def by_torchvision(data: bytes) -> torch.Tensor:
        file = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return decode_jpeg(file, ImageReadMode.RGB)

    def pixels(image: torch.Tensor) -> np.ndarray:
        return image.permute(1, 2, 0).numpy()

    def by_pillow(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
        return np.asarray(image.resize(size, Image.Resampling.BICUBIC))

    found: dict[str, Steps] = {
        "Pillow": (
            lambda data: Image.open(io.BytesIO(data)).convert("RGB"),
            np.asarray,
            by_pillow,
        ),
        "torchvision.io": (
            by_torchvision,
            pixels,
            lambda image, size: pixels(
                resize(image, size[::-1], InterpolationMode.BICUBIC, antialias=True)
            ),
        ),
        "torchvision.io, resized by Pillow": (
            by_torchvision,
            pixels,
            lambda image, size: by_pillow(Image.fromarray(pixels(image)), size),
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
        lambda image, size: cv2.resize(image, size, interpolation=cv2.INTER_CUBIC),
    )
    return found


def measure(files: Sequence[bytes], rounds: int) -> list[dict[str, Any]]:
    """A row for each decoder; differences are those from the first, Pillow."""
    ways = decoders()
    work: dict[str, Callable[[], Any]] = {}
    for name, (decode, _, resized) in ways.items():
        work[name] = lambda decode=decode: [decode(data) for data in files]
        work[f"{name}, resized"] = lambda decode=decode, resized=resized: [
            resized(decode(data), TIMED) for data in files
        ]
    seconds = time_in_turn(work, rounds)

    def off(name: str, size: tuple[int, int] | None) -> int:
        def found(data: bytes, way: Steps) -> np.ndarray:
            decode, pixels, resized = way
            image = decode(data)
            return (pixels(image) if size is None else resized(image, size)).astype(int)

        return max(
            int(np.abs(found(data, ways[name]) - found(data, ways["Pillow"])).max())
            for data in files
        )

    return [
        {
            "decoder": name,
            "images/s, decoded": len(files) / seconds[name]["median"],
            "off by": off(name, None),
            "images/s, resized as well": len(files) / seconds[f"{name}, resized"]["median"],
            "then off by": off(name, TIMED),
            "at other sizes": max(off(name, size) for size in SIZES),
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
