"""How high a whole person is by the width of its picture: what a gallery says of it.

INPUT.KEEP_RATIO gallery asks for it, see `keep_ratio`. No label is read.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .keep_ratio import GALLERY, KeepRatioResize, Size

logger = logging.getLogger(__name__)
# Per cent of a gallery's images that may be flatter than what counts as a whole person.
FLATTEST = 10


def needs_gallery(resize: KeepRatioResize | None) -> bool:
    """Whether a gallery says how high a whole person is by the width of the image."""
    return resize is not None and resize.policy == GALLERY and not resize.whole


def height_of_whole(sizes: Sequence[Size], model: Size) -> float:
    """Height by width of a gallery's whole people: what nine tenths of its images are at least.

    It is never less than the model's. Where more than a tenth of a gallery is flatter, people are
    cut off in it, and say nothing of whole ones.

    Args:
        sizes: (height, width) of the images, at least one.
        model: (H, W), the size that the model is made for.
    """
    measured = np.percentile([height / width for height, width in sizes], FLATTEST)
    return max(float(measured), model[0] / model[1])


def of_gallery(resize: KeepRatioResize, sizes: Sequence[Size]) -> KeepRatioResize:
    """The resizing for the images of a gallery, and for its queries.

    Args:
        resize: what `keep_ratio_resize` gives. It stays as it is unless it `needs_gallery`.
        sizes: (height, width) of the gallery's images, at least one.
    """
    if not needs_gallery(resize):
        return resize
    return replace(resize, whole=height_of_whole(sizes, resize.model))


def say_whole(whole: float, images: int) -> None:
    """Log what a gallery of so many images has said."""
    logger.info(
        f"INPUT.KEEP_RATIO gallery: a whole person is {whole:.2f} times as high as wide, by the "
        f"sizes of {images} images"
    )
