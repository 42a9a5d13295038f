"""Training images that are made small and large again, so that sharpness tells nothing.

All images of a training set may have been enlarged by the same factor, as those of Market-1501
are: from 128 x 64 to 256 x 128 pixels. A network learns to expect that blur. Worse, a piece of
another image that is put before one (`images.occlusion`) has been enlarged once more, so that it
can be told from the person by its blur alone; a test set whose images are smaller then consists of
occluders.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from ..images.random_numbers import between, pick
from ..images.shrinking import shrunk

# Enlarged by either: the blur of one filter is not to be what the network expects, either.
FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


class Shrink:
    """Make an image small and enlarge it to its size again, with some probability.

    Random numbers come from numpy's global generator, which `TrainLoader` seeds.

    Args:
        probability: that an image is shrunk at all, 0 to 1.
        share: least and greatest share of each side that it is shrunk to.
    """

    def __init__(self, probability: float, share: tuple[float, float]) -> None:
        self.probability = probability
        self.share = share

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image, shrunk or as it is, at its size."""
        if np.random.random() >= self.probability:
            return image
        rng = np.random.default_rng(np.random.randint(0, 2**32, 4, dtype=np.uint32))
        small = shrunk(image, between(rng, *self.share))
        return small.resize(image.size, pick(rng, FILTERS))


def shrink_of(cfg: Any) -> Shrink | None:
    """What INPUT.SHRINK asks for; None where it is off."""
    keys = cfg.INPUT.SHRINK
    return Shrink(float(keys.PROB), tuple(keys.SHARE)) if keys.ENABLED else None
