"""An image with fewer pixels, in its own proportions."""

from __future__ import annotations

from PIL import Image


def shrunk(image: Image.Image, share: float) -> Image.Image:
    """The image at a share of its width and height, at least one pixel each."""
    width, height = (max(1, round(side * share)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)
