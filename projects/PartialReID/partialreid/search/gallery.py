"""A gallery in memory: what was extracted from some pictures, and what is known of each.

A gallery on disk, `IndexedGallery`, offers the same.
Shapes: G images, D global features, C channels, M_g columns of an image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..images.pictures import Picture, picture_name
from ..matching.extracted import Images
from ..runtime.progress import progress
from .extraction import CHUNK, Extractor
from .stamped import Stamped

Metadata = Mapping[str, Any]


@dataclass(frozen=True)
class Gallery:
    """Pictures that can be searched.

    Attributes:
        images: features (G, D) and columns (C, M_g) of unit length, weights (M_g,).
        paths: of the pictures; "" where it came as none.
        metadata: of each, plain values by their names: identity, camera, what the caller knows.
        stamped: the pictures as they were extracted.
        whole: height by width of whole people, by which queries are scaled like these pictures; 0
            where the config says it or has no need of it, and where the pictures are too few.
    """

    images: Images
    paths: Sequence[str]
    metadata: Sequence[Metadata]
    stamped: Stamped = field(repr=False)
    whole: float = 0.0

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def pictures(self) -> Sequence[Picture]:
        """What shows the pixels of each picture again: its path, or a copy of it."""
        return self.stamped.pictures

    def columns(self, place: int) -> Tensor:
        """The columns (C, M) of one picture."""
        return self.images.columns[place]

    def lost(self, place: int) -> str:
        """Why the picture of an image cannot be shown any more, in a word; "" if it can."""
        return self.stamped.lost(place)


def extracted_gallery(
    extractor: Extractor,
    pictures: Sequence[Picture],
    metadata: Sequence[Metadata],
    kept: torch.dtype,
    whole: float | None = None,
) -> Gallery:
    """Extract pictures into a gallery in memory.

    Args:
        extractor: that they go through.
        pictures: at least one.
        metadata: of each.
        kept: the dtype of the columns in memory.
        whole: height by width of whole people; None: what the pictures say.

    Raises:
        OSError, ValueError: as `Extractor.chunks`; or `whole` is below 0 or no number.
    """
    stamped = Stamped(pictures)
    if whole is None:
        whole = extractor.measured(stamped.pictures)
    elif not 0 <= whole < math.inf:
        raise ValueError(
            f"whole is {whole}: give the height by width of pictures of whole people, such as 3.0, "
            "or 0 where it is not known."
        )
    whole = whole if extractor.needs_gallery else 0.0
    extractor = extractor.of_whole(whole)
    features, columns, weights = [], list[Tensor](), list[Tensor]()
    chunks, total = extractor.chunks(stamped.pictures), -(-len(pictures) // CHUNK)
    for _, part in progress(chunks, total, "extracting pictures", "parts"):
        features.append(part.features)
        columns += [one.to(kept) for one in part.columns]
        weights += part.weights
    names = [picture_name(picture) for picture in pictures]
    return Gallery(Images(torch.cat(features), columns, weights), names, metadata, stamped, whole)
