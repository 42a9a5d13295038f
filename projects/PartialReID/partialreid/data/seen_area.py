"""Which part of a picture a network sees, in the picture's own pixels.

All of it, but where INPUT.CROP cuts the middle out of what INPUT.SIZE_TEST has resized.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Area = tuple[Fraction, Fraction, Fraction, Fraction]
"""Left, upper, right and lower edge. One outside of the picture is that of a border of zeros."""


def seen_area(steps: Any, size: tuple[int, int]) -> Area:
    """The area that FastReID's test transform makes the input of.

    Args:
        steps: the config node INPUT.
        size: width and height of the picture.
    """
    if not steps.CROP.ENABLED:
        return Fraction(0), Fraction(0), Fraction(size[0]), Fraction(size[1])
    area = []
    # Height and width, or one number for both.
    crop = (steps.CROP.SIZE[-1], steps.CROP.SIZE[0])
    for own, resized, kept in zip(size, _resized(steps.SIZE_TEST, size), crop):
        # As torchvision's CenterCrop cuts, or adds a border to what is smaller.
        start = round((resized - kept) / 2) if kept <= resized else -((kept - resized) // 2)
        area.append((Fraction(start * own, resized), Fraction((start + kept) * own, resized)))
    (left, right), (upper, lower) = area
    return left, upper, right, lower


def _resized(wanted: Sequence[int], size: tuple[int, int]) -> tuple[int, int]:
    """Width and height that INPUT.SIZE_TEST gives a picture: one number is its shorter side."""
    width, height = size
    if wanted[0] <= 0:
        return size
    if len(wanted) > 1:
        return wanted[1], wanted[0]
    if width <= height:
        return wanted[0], wanted[0] * height // width
    return wanted[0] * width // height, wanted[0]
