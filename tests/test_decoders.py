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
    """A decoder that is off by 3, and one more after resizing; channels must not change places."""
    ways = decoders.decoders()
    decode, pixels, resized = ways["Pillow"]

    def brighter(image: Any, by: int) -> np.ndarray:
        return np.asarray(image) + np.array([by, 0, 0], np.uint8)

    other = (decode, lambda x: brighter(x, 3), lambda x: brighter(resized(x), 4))
    monkeypatch.setattr(decoders, "decoders", lambda: {**ways, "other": other})
    rows = {row["decoder"]: row for row in decoders.measure([jpeg(20), jpeg(200)], 1)}
    assert (rows["Pillow"]["off by"], rows["Pillow"]["then off by"]) == (0, 0)
    assert (rows["other"]["off by"], rows["other"]["then off by"]) == (3, 4)
    # Grey images of one value are decoded alike by all.
    for name in ways:
        assert rows[name]["off by"] <= 1 and rows[name]["images/s, decoded"] > 0
    assert pixels(decode(jpeg(20))).shape == (128, 64, 3)


def test_colours_keep_their_places() -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 128), (200, 30, 90)).save(file, "JPEG", quality=95)
    for name, (decode, pixels, resized) in decoders.decoders().items():
        for found in (pixels(decode(file.getvalue())), resized(decode(file.getvalue()))):
            assert np.abs(found.astype(int) - (200, 30, 90)).max() < 12, name


@pytest.mark.slow
def test_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    decoders.main(2, 1)
    rows = json.loads((tmp_path / "decoders.json").read_text())["rows"]
    assert [row["decoder"] for row in rows][:2] == ["Pillow", "torchvision.io"]
