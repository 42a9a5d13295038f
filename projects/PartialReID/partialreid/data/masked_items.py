"""Training images with masks of what is visible of them, some put behind objects.

The objects come from other sources than those of the derived test sets: they have other forms and
textures (`occluder_shapes.TRAINING`), or are pieces of training images or people in them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastreid.data.common import CommDataset
from PIL import Image

from ..images.lists import Item, name_some
from ..images.made_folder import cache_root
from ..images.occluder_shapes import TRAINING
from ..images.occlusion import KINDS, Occluded, check_share, hide_behind_piece, hide_behind_shape
from ..images.person_outline import hide_behind_person
from ..images.random_numbers import pick
from ..images.reading import MaskError, read_image
from .masked_transform import MaskedTransform
from .person_masks import check_masks, read_mask
from .shrunk_images import shrink_of

# What can be put before a training image: what hides the queries of derived sets, though drawn
# otherwise, and people.
TRAINING_KINDS = (*KINDS, "people")


def wants_masks(cfg: Any) -> bool:
    """Whether training batches hold masks: INPUT.OCCLUSION is on or DATASETS.MASKS is set."""
    return bool(cfg.INPUT.OCCLUSION.ENABLED or cfg.DATASETS.MASKS)


def check_kinds(kinds: Sequence[str]) -> None:
    """Check INPUT.OCCLUSION.KINDS.

    Raises:
        ValueError: it is empty or holds something else.
    """
    if not kinds or not set(kinds) <= set(TRAINING_KINDS):
        raise ValueError(
            f"INPUT.OCCLUSION.KINDS is {tuple(kinds)}; it can hold {', '.join(TRAINING_KINDS)}."
        )


def find_masks(paths: Sequence[str], root: str, masks: str) -> dict[str, str]:
    """The mask of each image.

    Args:
        paths: the images.
        root: the data root; what lies in the cache of made folders is looked up by its name there.
        masks: DATASETS.MASKS.

    Raises:
        FileNotFoundError: masks are absent; the first are named.
        ValueError: an image lies neither below the data root nor in the cache, or two images have
            one mask.
    """
    places = [os.path.abspath(place) for place in (root, cache_root())]
    found = {}
    for path in paths:
        full = os.path.abspath(path)
        place = next((p for p in places if full.startswith(p + os.sep)), None)
        if place is None:
            raise ValueError(
                f'"{path}" has no name in DATASETS.MASKS: it lies neither below "{places[0]}" nor '
                f'below "{places[1]}". Set DATASETS.ROOT to a folder above it.'
            )
        found[path] = str((Path(masks) / os.path.relpath(full, place)).with_suffix(".png"))
    owner: dict[str, str] = {}
    for path, mask in found.items():
        other = owner.setdefault(mask, path)
        if os.path.abspath(other) != os.path.abspath(path):
            raise ValueError(
                f'"{other}" and "{path}" would both have the mask "{mask}": rename one of them.'
            )
    absent = [mask for mask in found.values() if not os.path.isfile(mask)]
    if absent:
        raise FileNotFoundError(
            f'DATASETS.MASKS "{masks}" lacks the masks of {len(absent)} of {len(paths)} training '
            f"images: {name_some(absent)}."
        )
    return found


class MaskedItems(CommDataset):
    """Training images with what is visible of them, some put behind objects.

    All random numbers come from numpy's and torch's global generators, which `TrainLoader` seeds.

    Args:
        cfg: config.
        items: training images (path, id, camera).
        root: the data root.

    Raises:
        FileNotFoundError: DATASETS.MASKS lacks a mask.
        ImageError: a mask cannot be read.
        ValueError: a value of INPUT.OCCLUSION is out of range, a transform is on that a mask
            cannot follow, or masks show nobody, or nothing but people.
    """

    def __init__(self, cfg: Any, items: Sequence[Item], root: str) -> None:
        super().__init__(list(items), MaskedTransform(cfg), relabel=True)
        keys = cfg.INPUT.OCCLUSION
        self.probability = float(keys.PROB) if keys.ENABLED else 0.0
        self.kinds = tuple(keys.KINDS)
        if not 0 <= self.probability <= 1:
            raise ValueError(f"INPUT.OCCLUSION.PROB is {keys.PROB}; it lies between 0 and 1.")
        check_kinds(self.kinds)
        others = [kind for kind in self.kinds if kind != "shapes"]
        if self.probability and others and len(self.pids) < 2:
            raise ValueError(
                f"INPUT.OCCLUSION.KINDS holds {', '.join(others)}, which show another identity, "
                'and there is one training identity: leave "shapes" alone.'
            )
        try:
            self.share = check_share(keys.SHARE)
        except ValueError as error:
            raise ValueError(f"INPUT.OCCLUSION.SHARE: {error}.") from error
        paths = [path for path, *_ in items]
        masks = os.path.expanduser(cfg.DATASETS.MASKS)
        self.masks = find_masks(paths, root, masks) if masks else {}
        self.shrink = shrink_of(cfg)
        self.threshold = cfg.DATASETS.MASK_THRESHOLD
        check_masks(list(self.masks.values()), self.threshold)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The image as a tensor, with its id, camera, path, and the mask (H, W) bool."""
        path, pid, camid = self.img_items[index]
        image = read_image(path)
        visible = self._foreground(path, (image.height, image.width))
        # Before an object comes into the image, so that each has a sharpness of its own.
        image = self.shrink(image) if self.shrink else image
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
        mask = read_mask(self.masks[path], self.threshold)
        if mask.shape != size:
            raise MaskError(
                f'the mask "{self.masks[path]}" is {mask.shape[1]} x {mask.shape[0]} pixels, its '
                f"image {size[1]} x {size[0]}: make it again at the image's size."
            )
        return mask

    def _hide(self, path: str, image: np.ndarray, pid: Any) -> Occluded:
        rng = np.random.default_rng(np.random.randint(0, 2**32, 4, dtype=np.uint32))
        kind, seen = pick(rng, self.kinds), None
        if kind != "shapes":
            other = pick(rng, self.img_items)
            while other[1] == pid:
                other = pick(rng, self.img_items)
            seen = np.asarray(read_image(other[0]))
        try:
            if seen is None:
                return hide_behind_shape(image, rng, self.share, TRAINING)
            hide = hide_behind_person if kind == "people" else hide_behind_piece
            return hide(image, seen, rng, self.share)
        except ValueError as error:
            raise MaskError(f'no part of "{path}" can be hidden: {error}.') from error
