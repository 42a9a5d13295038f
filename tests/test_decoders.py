"""benchmarks/decoders.py: the differences that it finds are those of pixels."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import bench, decoders


def jpeg(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 128), (value, value, value)).save(file, "JPEG", quality=95)
    return file.getvalue()


def test_differences_are_from_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that is off by 3, one more after resizing, and two more at one other size."""
    ways = decoders.decoders()
    decode, pixels, resized = ways["Pillow"]

    def brighter(image: Any, by: int) -> np.ndarray:
        return np.asarray(image) + np.array([by, 0, 0], np.uint8)

    def off_when_resized(image: Any, size: tuple[int, int]) -> np.ndarray:
        return brighter(resized(image, size), 6 if size == decoders.SIZES[-1] else 4)

    other = (decode, lambda x: brighter(x, 3), off_when_resized)
    monkeypatch.setattr(decoders, "decoders", lambda: {**ways, "other": other})
    rows = {row["decoder"]: row for row in decoders.measure([jpeg(20), jpeg(200)], 1)}
    off = ("off by", "then off by", "at other sizes")
    assert [rows["Pillow"][key] for key in off] == [0, 0, 0]
    assert [rows["other"][key] for key in off] == [3, 4, 6]
    # Grey images of one value are decoded alike by all.
    for name in ways:
        assert rows[name]["off by"] <= 1 and rows[name]["images/s, decoded"] > 0
    assert pixels(decode(jpeg(20))).shape == (128, 64, 3)


def test_colours_keep_their_places() -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 128), (200, 30, 90)).save(file, "JPEG", quality=95)
    for name, (decode, pixels, resized) in decoders.decoders().items():
        image = decode(file.getvalue())
        for found in (pixels(image), resized(image, decoders.TIMED)):
            assert np.abs(found.astype(int) - (200, 30, 90)).max() < 12, name


@pytest.mark.slow
def test_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    decoders.main(2, 1)
    rows = json.loads((tmp_path / "decoders.json").read_text())["rows"]
    assert [row["decoder"] for row in rows][:2] == ["Pillow", "torchvision.io"]
