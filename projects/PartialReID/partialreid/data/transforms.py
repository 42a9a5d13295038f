"""FastReID's transforms on current torch and torchvision."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .shrunk_images import shrink_of


class ToTensor:
    """An image as a float tensor (3, H, W) in 0..255, bit for bit as FastReID converts it.

    FastReID goes through torch's TypedStorage. It is deprecated, so that each worker of each epoch
    warns, and a later torch will not have it.
    """

    def __call__(self, image: Any) -> torch.Tensor:
        """Convert a PIL image or, as AugMix leaves it, an array (H, W, 3)."""
        array = np.asarray(image).transpose(2, 0, 1)
        return torch.from_numpy(array.astype(np.float32, order="C"))


def build_transforms(cfg: Any, is_train: bool) -> Any:
    """FastReID's transforms, with INPUT.AFFINE as torchvision spells its arguments today.

    FastReID passes `resample` and `fillcolor`, which torchvision has renamed, and a TypeError
    follows. The transform is therefore built here, with the same values, and put where FastReID
    puts it: after the colour jitter, before AugMix and the conversion to a tensor. INPUT.SHRINK
    comes first, at the image's own size.
    """
    import torchvision.transforms as T
    from fastreid.data import transforms as fastreid_transforms

    affine = is_train and cfg.INPUT.AFFINE.ENABLED
    if affine:
        cfg = cfg.clone()
        cfg.defrost()
        cfg.INPUT.AFFINE.ENABLED = False
    steps = list(fastreid_transforms.build_transforms(cfg, is_train=is_train).transforms)
    if affine:
        place = next(i for i, t in enumerate(steps) if type(t).__name__ in ("AugMix", "ToTensor"))
        steps.insert(place, T.RandomAffine(degrees=10, scale=(0.9, 1.1), shear=0.1, fill=0))
    shrink = shrink_of(cfg) if is_train else None
    if shrink is not None:
        steps.insert(0, shrink)
    return T.Compose(
        [ToTensor() if isinstance(t, fastreid_transforms.ToTensor) else t for t in steps]
    )
