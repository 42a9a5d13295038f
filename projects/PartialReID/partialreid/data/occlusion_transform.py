"""Training images behind objects, and the masks that say what of them is visible.

The augmentation draws its occluders from other sources than the derived test sets: other forms and
textures (`occlusion_shapes.TRAINING`), and pieces of training images alone. FastReID's transforms
follow, in its order; those that move pixels move the mask alike.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision.transforms.v2 as joint
from fastreid.data.common import CommDataset
from PIL import Image

from ..compat import build_transforms
from ..images.lists import Item, name_some
from ..images.made_folder import cache_root
from ..images.occluder_shapes import TRAINING, pick
from ..images.occlusion import KINDS, Occluded, check_share, hide_behind_piece, hide_behind_shape
from ..images.reading import MaskError, read_image

# Of 255. Masks are resampled with their images: what shows the person by half is rounded up.
HALF = 128
# These move pixels without saying where to.
UNFIT = ("AUTOAUG", "AUGMIX")


def wants_masks(cfg: Any) -> bool:
    """Whether training batches hold masks: INPUT.OCCLUSION is on or DATASETS.MASKS is set."""
    return bool(cfg.INPUT.OCCLUSION.ENABLED or cfg.DATASETS.MASKS)


def find_masks(paths: Sequence[str], root: str, masks: str) -> dict[str, str]:
    """The mask of each image.

    Args:
        paths: the images.
        root: the data root; what lies in the cache of made folders is looked up by its name there.
        masks: DATASETS.MASKS.

    Raises:
        FileNotFoundError: masks are absent; the first are named.
        ValueError: an image lies neither below the data root nor in the cache.
    """
    places = [os.path.abspath(place) for place in (root, cache_root())]
    found = {}
    for path in paths:
        full = os.path.abspath(path)
        place = next((p for p in places if full.startswith(p + os.sep)), None)
        if place is None:
            raise ValueError(
                f'"{path}" has no name in DATASETS.MASKS: it lies neither below "{places[0]}" nor '
                f'below "{places[1]}".'
            )
        found[path] = str((Path(masks) / os.path.relpath(full, place)).with_suffix(".png"))
    absent = [mask for mask in found.values() if not os.path.isfile(mask)]
    if absent:
        raise FileNotFoundError(
            f'DATASETS.MASKS "{masks}" lacks the masks of {len(absent)} of {len(paths)} training '
            f"images: {name_some(absent)}."
        )
    return found


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
        self.steps = [(step, _joint(step)) for step in build_transforms(cfg, True).transforms]

    def __call__(self, image: Any, visible: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Transform both.

        Args:
            image: an RGB image.
            visible: (H, W) bool at its size.

        Returns:
            The image (3, H, W) float32 in 0..255, and (H, W) bool at that size: False where it is
            hidden, padded or erased.
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


class MaskedItems(CommDataset):
    """Training images with what is visible of them, some put behind objects.

    All random numbers come from numpy's and torch's global generators, which `TrainLoader` seeds.

    Args:
        cfg: config.
        items: training images (path, id, camera).
        root: the data root.

    Raises:
        FileNotFoundError: DATASETS.MASKS lacks a mask.
        ValueError: a value of INPUT.OCCLUSION is out of range, or a transform is on that a mask
            cannot follow.
    """

    def __init__(self, cfg: Any, items: Sequence[Item], root: str) -> None:
        super().__init__(list(items), MaskedTransform(cfg), relabel=True)
        keys = cfg.INPUT.OCCLUSION
        self.probability = float(keys.PROB) if keys.ENABLED else 0.0
        self.kinds = tuple(keys.KINDS)
        if not 0 <= self.probability <= 1:
            raise ValueError(f"INPUT.OCCLUSION.PROB is {keys.PROB}; it lies between 0 and 1.")
        if not self.kinds or not set(self.kinds) <= set(KINDS):
            raise ValueError(
                f"INPUT.OCCLUSION.KINDS is {self.kinds}; it can hold {', '.join(KINDS)}."
            )
        if self.probability and "pieces" in self.kinds and len(self.pids) < 2:
            raise ValueError(
                "INPUT.OCCLUSION.KINDS holds pieces, which show another identity, and there is one "
                'training identity: leave "shapes" alone.'
            )
        try:
            self.share = check_share(keys.SHARE)
        except ValueError as error:
            raise ValueError(f"INPUT.OCCLUSION.SHARE: {error}.") from error
        paths = [path for path, *_ in items]
        masks = os.path.expanduser(cfg.DATASETS.MASKS)
        self.masks = find_masks(paths, root, masks) if masks else {}
        self.threshold = cfg.DATASETS.MASK_THRESHOLD

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The image as a tensor, with its id, camera, path, and the mask (H, W) bool."""
        path, pid, camid = self.img_items[index]
        image = read_image(path)
        visible = self._foreground(path, (image.height, image.width))
        if self.probability and np.random.random() < self.probability:
            hidden = self._hide(path, np.asarray(image), pid)
            image, visible = Image.fromarray(hidden.image), visible & hidden.visible
        tensor, mask = self.transform(image, visible)
        return {
            "images": tensor,
            "targets": self.pid_dict[pid],
            "camids": self.cam_dict[camid],
            "img_paths": path,
            "masks": mask,
        }

    def _foreground(self, path: str, size: tuple[int, int]) -> np.ndarray:
        if path not in self.masks:
            return np.ones(size, bool)
        mask = np.asarray(read_image(self.masks[path]).convert("L")) >= self.threshold
        if mask.shape != size:
            raise MaskError(
                f'the mask "{self.masks[path]}" is {mask.shape[1]} x {mask.shape[0]} pixels, its '
                f"image {size[1]} x {size[0]}: make it again at the image's size."
            )
        return mask

    def _hide(self, path: str, image: np.ndarray, pid: Any) -> Occluded:
        rng = np.random.default_rng(np.random.randint(0, 2**32, 4, dtype=np.uint32))
        piece = None
        if pick(rng, self.kinds) != "shapes":
            other = pick(rng, self.img_items)
            while other[1] == pid:
                other = pick(rng, self.img_items)
            piece = np.asarray(read_image(other[0]))
        try:
            if piece is None:
                return hide_behind_shape(image, rng, self.share, TRAINING)
            return hide_behind_piece(image, piece, rng, self.share)
        except ValueError as error:
            raise MaskError(f'no part of "{path}" can be hidden: {error}.') from error
