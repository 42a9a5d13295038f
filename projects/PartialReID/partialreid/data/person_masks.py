"""Masks of DATASETS.MASKS: which pixels are the person, and whether they say so at all."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..images.reading import read_image

LOOKED_AT = 50  # masks of a folder, evenly spaced


def read_mask(path: str | os.PathLike[str], threshold: int) -> np.ndarray:
    """A mask as bool (H, W), True where its grey is at least the threshold.

    Raises:
        ImageError: the file cannot be read.
    """
    return np.asarray(read_image(path).convert("L")) >= threshold


def check_masks(paths: Sequence[str], threshold: int) -> None:
    """Look at some masks, for a person in front of something else.

    Masks of 0 and 1, palettes, or people cut out by transparency all are read as nobody or as
    everything, and would be trained on as such.

    Args:
        paths: of the masks.
        threshold: DATASETS.MASK_THRESHOLD.

    Raises:
        ImageError: a file cannot be read.
        ValueError: none of them has both.
    """
    some = list(dict.fromkeys(paths))[:: max(1, len(paths) // LOOKED_AT)]
    shares = []
    for path in some:
        shares.append(float(read_mask(path, threshold).mean()))
        if 0 < shares[-1] < 1:
            return
    if shares:
        seen = {0.0: "nobody", 1.0: "a person everywhere"}.get(sum(shares) / len(shares))
        raise ValueError(
            f"in the {len(shares)} masks of DATASETS.MASKS that were looked at there is "
            f'{seen or "nobody, or a person everywhere"}, as in "{some[0]}": a person is grey, of '
            f"255, from DATASETS.MASK_THRESHOLD {threshold} on, and what is not the person is "
            "darker. Write the masks so, or set the threshold."
        )
