"""FastReID's training transforms on an image together with the mask of what is visible of it.

Transforms that move pixels move the mask in the same way. Those that paint over pixels, such as
random erasing, hide them in the mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torchvision.transforms.v2 as joint
from PIL import Image

from .shrunk_images import Shrink
from .transforms import build_transforms

# Grey value, of 255, from which a pixel of a transformed mask is visible. Resampling makes greys of
# black and white; half visible counts as visible.
HALF = 128
# These move pixels without saying where to.
UNFIT = ("AUTOAUG", "AUGMIX")


def _joint(step: Any) -> Any:
    """The transform that treats image and mask alike; None for one that moves no pixel."""
    kind = type(step).__name__
    if kind == "Resize":
        return joint.Resize(step.size, interpolation=step.interpolation)
    if kind == "RandomResizedCrop":
        return joint.RandomResizedCrop(
            step.size, step.scale, step.ratio, interpolation=step.interpolation
        )
    if kind == "Pad":
        return joint.Pad(step.padding, padding_mode=step.padding_mode)
    if kind == "RandomCrop":
        return joint.RandomCrop(step.size)
    if kind == "RandomHorizontalFlip":
        return joint.RandomHorizontalFlip(step.p)
    if kind == "RandomAffine":
        return joint.RandomAffine(step.degrees, scale=step.scale, shear=step.shear, fill=0)
    return None


def _painted(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """(H, W) bool, the rectangle in which two images (3, H, W) differ."""
    differs = (before != after).any(0)
    inside = torch.zeros_like(differs)
    rows, columns = differs.any(1).nonzero(), differs.any(0).nonzero()
    if len(rows):
        inside[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1] = True
    return inside


class MaskedTransform:
    """FastReID's training transforms on an image together with its mask.

    INPUT.SHRINK is left out: it comes before an object is put into the image.

    With one seed the images are those of `build_transforms`: a mask changes no random number.

    Args:
        cfg: config.

    Raises:
        ValueError: a transform is on that a mask cannot follow.
    """

    def __init__(self, cfg: Any) -> None:
        for key in UNFIT:
            if cfg.INPUT[key].ENABLED:
                raise ValueError(
                    f"INPUT.{key} moves pixels where no mask can follow: switch it off, or "
                    "INPUT.OCCLUSION and DATASETS.MASKS."
                )
        steps = build_transforms(cfg, True).transforms
        self.steps = [(step, _joint(step)) for step in steps if not isinstance(step, Shrink)]

    def __call__(self, image: Any, visible: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Transform both.

        Args:
            image: an RGB image.
            visible: (H, W) bool at its size.

        Returns:
            The image (3, H, W) float32 in 0..255, and (H, W) bool at that size: False where it is
            hidden, erased or padded, but for padding that repeats the image.
        """
        # As a grey image it is resampled as the image is; a mask's nearest pixel would lie beside.
        mask = Image.fromarray(visible.astype(np.uint8) * 255)
        painted = None
        for step, both in self.steps:
            if both is not None:
                image, mask = both(image, mask)
            elif isinstance(image, torch.Tensor):
                # Only what paints over parts, random erasing and random patches, comes so late.
                before = image.clone()
                image = step(image)
                now = _painted(before, image)
                painted = now if painted is None else painted | now
            else:
                image = step(image)
        seen = torch.from_numpy(np.asarray(mask) >= HALF)
        return image, seen if painted is None else seen & ~painted
