"""Test images that show no more detail than those that a network was trained on.

The images of Market-1501 have 128 x 64 pixels, and all are enlarged to 256 x 128: of what a network
sees in training, each side has a half in real detail. A picture of 512 x 256 pixels that is made as
large is sharper than anything that it has seen, and it takes what is sharp for something else. With
INPUT.DETAIL 0.5 such a picture is made 128 x 64 first. A picture that has no more pixels than that
stays as it is. Sizes are rounded to a grid, though (`keep_ratio`): a cut image of Market-1501 whose
height is rounded down has up to three rows more than a half of it, and is made smaller by these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

# INPUT.DETAIL of images that keep all of their detail.
ALL = 1.0


@dataclass(frozen=True)
class LimitDetail:
    """Resizes a PIL image as `resize` does, by way of fewer pixels if it has too many.

    Attributes:
        resize: from an image to one of the size that the network gets.
        share: of each side of that size, how many pixels there may really be; above 0, at most 1.
    """

    resize: Callable[[Image.Image], Image.Image]
    share: float

    def __call__(self, image: Image.Image) -> Image.Image:
        """The resized image."""
        resized = self.resize(image)
        width, height = (
            min(own, max(1, round(self.share * side)))
            for own, side in zip(image.size, resized.size, strict=True)
        )
        if (width, height) == image.size:
            return resized
        # Pillow's filters take all pixels into account when they make an image smaller.
        coarse = image.resize((width, height), Image.Resampling.BILINEAR)
        return coarse.resize(resized.size, Image.Resampling.BICUBIC)
