"""An image with fewer pixels."""

from __future__ import annotations

from PIL import Image

from partialreid.images.shrinking import shrunk


def test_both_sides_shrink() -> None:
    assert shrunk(Image.new("RGB", (64, 128)), 0.35).size == (22, 45)
    assert shrunk(Image.new("RGB", (1, 3)), 0.01).size == (1, 1)
