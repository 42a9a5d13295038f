"""How high a whole person is by the width of its picture: what the sizes of a gallery say of it.

INPUT.KEEP_RATIO gallery asks for it, see `keep_ratio`. No label is read.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from .keep_ratio import GALLERY, KeepRatioResize, Size

logger = logging.getLogger(__name__)
# Per cent of a gallery's images that may be flatter than what counts as a whole person, and how
# many images there must be at least, of which one is that share.
FLATTEST, FEWEST = 10, 10
# Height by width of whole people in boxes around them. Of a gallery that is flatter or narrower
# people are cut off, which says nothing of whole ones.
LEAST_WHOLE, MOST_WHOLE = 2.0, 4.0


def needs_gallery(resize: KeepRatioResize | None) -> bool:
    """Whether a gallery says how high a whole person is by the width of the image."""
    return resize is not None and resize.policy == GALLERY and not resize.whole


def height_of_whole(sizes: Sequence[Size]) -> float:
    """Height by width of whole people: the 10th percentile of a gallery's images.

    Args:
        sizes: (height, width) of the images.

    Returns:
        From `LEAST_WHOLE` to `MOST_WHOLE`; 0 of fewer than `FEWEST` images, which say nothing.
    """
    if len(sizes) < FEWEST:
        return 0.0
    return min(max(_percentile(sizes), LEAST_WHOLE), MOST_WHOLE)


def say_whole(sizes: Sequence[Size]) -> None:
    """Log what a gallery of these sizes says, and what is made of it."""
    whole = height_of_whole(sizes)
    if not whole:
        found = f"{len(sizes)} images are too few to say how high whole people are: to fit"
    else:
        found = (
            f"whole people are taken to be {whole:.2f} times as high as wide; a tenth of "
            f"{len(sizes)} images is no higher by its width than {_percentile(sizes):.2f}"
        )
    logger.info(f"INPUT.KEEP_RATIO gallery: {found}")


def _percentile(sizes: Sequence[Size]) -> float:
    return float(np.percentile([height / width for height, width in sizes], FLATTEST))
