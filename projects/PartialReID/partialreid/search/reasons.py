"""Why a gallery image is where it is in a list: its distance taken apart, beside that of a rival.

Shapes: C channels, N columns of an image, H x W cells of its map.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from ..evaluation.configured_distances import configured_matcher
from ..images.pictures import Picture, picture_name
from ..matching.pyramid import level_shapes
from ..matching.windows import Patches, pyramid_patches
from ..reporting.explanation import Candidate, draw_explanation
from ..reporting.explanation_patches import Shown
from .extraction import Embedded, Extractor
from .gallery import Gallery
from .indexed import IndexedGallery

# Pixels of the input for a cell of the map, of all backbones that there are.
STRIDES = (4, 8, 14, 16, 32)


class Reasons:
    """Explains answers to some queries.

    Args:
        extractor: that the pictures went through.
        cfg: config of the model.
        queries: the pictures that were asked for.
        embedded: what was extracted from them.
        gallery: that was searched.
    """

    def __init__(
        self,
        extractor: Extractor,
        cfg: Any,
        queries: Sequence[Picture],
        embedded: Embedded,
        gallery: Gallery | IndexedGallery,
    ) -> None:
        self._extractor, self._cfg = extractor, cfg
        self._queries, self._embedded, self._gallery = queries, embedded, gallery

    def picture(self, query: int, places: Sequence[int]) -> Image.Image:
        """The explanation of one gallery image, or of two that are compared; see `explanation`.

        Args:
            query: which of the queries.
            places: one or two places in the gallery, of the image and of its rival.

        Raises:
            OSError: a picture is no longer where it was.
        """
        columns, weights = self._embedded.columns[query], self._embedded.weights[query]
        matcher = configured_matcher(self._cfg.TEST.DSR)
        candidates = []
        for place in places:
            theirs = self._gallery.columns(place).to(columns)
            shown = self._shown(self._gallery.pictures[place], theirs)
            candidates.append(Candidate(shown, matcher.explained(columns, theirs, weights)))
        return draw_explanation(self._shown(self._queries[query], columns), candidates)

    def _shown(self, picture: Picture, columns: Tensor) -> Shown:
        """The picture as the network saw it, with the patches of its columns (C, N)."""
        pixels = self._extractor.pixels(picture)
        size = (pixels.shape[1], pixels.shape[2])
        name = os.path.basename(picture_name(picture))
        heads = self._cfg.MODEL.HEADS.DSR
        patches = patches_of(size, columns.shape[1], tuple(heads.KERNELS), heads.STRIDE)
        return Shown(to_pil_image(pixels.byte()), patches, name)


def patches_of(size: tuple[int, int], count: int, kernels: Sequence[int], stride: int) -> Patches:
    """The patches of an image's map, whose size the number of its columns tells.

    Args:
        size: height and width of the input, in pixels.
        count: N.
        kernels, stride: of the pyramid.

    Raises:
        ValueError: no map of this image has so many columns.
    """
    for step in STRIDES:
        cells = (-(-size[0] // step), -(-size[1] // step))
        if max(kernels) <= min(cells):
            shapes = level_shapes(*cells, kernels, stride)
            if sum(rows * columns for rows, columns in shapes) == count:
                return pyramid_patches(*cells, kernels, stride)
    raise ValueError(f"no map of an image of {size[0]} x {size[1]} pixels has {count} columns.")
