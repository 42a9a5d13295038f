"""Why a gallery image is where it is in a list: its distance taken apart, beside that of a rival.

Shapes: C channels, N columns of an image, H x W cells of its map.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from ..data.seen_area import seen_area
from ..evaluation.configured_distances import configured_matcher
from ..images.pictures import Picture, picture_name, rgb_of
from ..images.reading import ImageError
from ..matching.explained import Explained
from ..matching.pyramid import level_shapes
from ..matching.windows import pyramid_patches
from ..reporting.explanation import Candidate, draw_explanation
from ..reporting.explanation_patches import Shown
from .extraction import Embedded, Extractor
from .parts import Part, Window, parts_of, picture_windows
from .stamped import Stamped

# Pixels of the input for a cell of the map, of all backbones that there are.
STRIDES = (4, 8, 14, 16, 32)


class Explainable(Protocol):
    """A gallery whose images can be looked at one by one."""

    @property
    def pictures(self) -> Sequence[Picture]:
        """What shows the pixels of each image."""

    def columns(self, place: int) -> Tensor:
        """The columns (C, M) of one image."""

    def lost(self, place: int) -> str:
        """Why the picture of an image cannot be shown any more, in a word; "" if it can."""


class Reasons:
    """Explains answers to some queries.

    Args:
        extractor: that the pictures went through.
        cfg: config of the model.
        queries: the pictures that were asked for, as they were extracted.
        embedded: what was extracted from them.
        gallery: that was searched.
    """

    def __init__(
        self,
        extractor: Extractor,
        cfg: Any,
        queries: Stamped,
        embedded: Embedded,
        gallery: Explainable,
    ) -> None:
        self._extractor, self._cfg = extractor, cfg
        self._queries, self._embedded, self._gallery = queries, embedded, gallery

    def picture(self, query: int, places: Sequence[int]) -> Image.Image:
        """The explanation of one gallery image, or of two that are compared; see `explanation`.

        Args:
            query: which of the queries.
            places: one or two places in the gallery, of the image and of its rival. A rival whose
                picture is lost is left out.

        Raises:
            OSError: a picture is no longer there, or no longer what it was.
        """
        candidates = []
        self._require(query, places[0])
        for place in (places[0], *(rival for rival in places[1:] if not self._gallery.lost(rival))):
            explained, theirs = self._explained(query, place)
            candidates.append(
                Candidate(self._shown(self._gallery.pictures[place], theirs), explained)
            )
        own = self._embedded.columns[query].shape[1]
        return draw_explanation(self._shown(self._queries.pictures[query], own), candidates)

    def parts(self, query: int, place: int) -> tuple[Part, ...]:
        """What the reconstruction distance of one gallery image is the sum of.

        Args:
            query: which of the queries.
            place: in the gallery, of the image.

        Raises:
            OSError: a picture is no longer there, or no longer what it was.
        """
        self._require(query, place)
        explained, theirs = self._explained(query, place)
        own = self._embedded.columns[query].shape[1]
        windows = (
            self._windows(self._queries.pictures[query], own),
            self._windows(self._gallery.pictures[place], theirs),
        )
        return parts_of(explained, *windows)

    def lost(self, query: int) -> str:
        """Why the picture of a query cannot be shown any more, in words; "" if it can."""
        return self._queries.lost(query)

    def _require(self, query: int, place: int) -> None:
        """Raise ImageError where the picture of a query or of a gallery image is lost."""
        for pictures, number, lost, again in (
            (self._queries.pictures, query, self.lost(query), "search again"),
            (self._gallery.pictures, place, self._gallery.lost(place), "extract the gallery again"),
        ):
            if lost:
                raise ImageError(
                    f'the picture "{picture_name(pictures[number])}" {lost}: put it back as it '
                    f"was, or {again}."
                )

    def _explained(self, query: int, place: int) -> tuple[Explained, int]:
        """The distance of a gallery image taken apart, and the number M of its columns."""
        columns, weights = self._embedded.columns[query], self._embedded.weights[query]
        theirs = self._gallery.columns(place).to(columns)
        matcher = configured_matcher(self._cfg.TEST.DSR)
        return matcher.explained(columns, theirs, weights), theirs.shape[1]

    def _shown(self, picture: Picture, count: int) -> Shown:
        """The picture as the network saw it, with the patches of its map, of `count` columns."""
        pixels = self._extractor.pixels(picture)
        patches = pyramid_patches(*self._cells(pixels, count), *self._pyramid())
        return Shown(to_pil_image(pixels.byte()), patches, os.path.basename(picture_name(picture)))

    def _windows(self, picture: Picture, count: int) -> list[Window]:
        """Where the `count` columns of a picture come from, in its own pixels."""
        cells = self._cells(self._extractor.pixels(picture), count)
        size = rgb_of(picture).size
        area = seen_area(self._cfg.INPUT, size)
        return picture_windows(cells, size, area, *self._pyramid())

    def _cells(self, pixels: Tensor, count: int) -> tuple[int, int]:
        """H and W of the map of an input (3, h, w)."""
        return map_size((pixels.shape[1], pixels.shape[2]), count, *self._pyramid())

    def _pyramid(self) -> tuple[tuple[int, ...], int]:
        """Kernels and stride."""
        heads = self._cfg.MODEL.HEADS.DSR
        return tuple(heads.KERNELS), heads.STRIDE


def map_size(
    size: tuple[int, int], count: int, kernels: Sequence[int], stride: int
) -> tuple[int, int]:
    """H and W of an image's map, as the number of its columns tells.

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
                return cells
    raise ValueError(f"no map of an image of {size[0]} x {size[1]} pixels has {count} columns.")
