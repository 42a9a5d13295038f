"""A gallery in memory: what was extracted from some pictures, and what is known of each.

A gallery on disk, `IndexedGallery`, offers the same.
Shapes: G images, D global features, C channels, M_g columns of an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..images.pictures import Picture
from ..matching.extracted import Images

Metadata = Mapping[str, Any]


@dataclass(frozen=True)
class Gallery:
    """Pictures that can be searched.

    Attributes:
        images: features (G, D) and columns (C, M_g) of unit length, weights (M_g,).
        paths: of the pictures; "" where it came as none.
        metadata: of each, plain values by their names: identity, camera, what the caller knows.
        pictures: of each what shows its pixels again: a path or the picture itself.
    """

    images: Images
    paths: Sequence[str]
    metadata: Sequence[Metadata]
    pictures: Sequence[Picture] = field(repr=False)

    def __len__(self) -> int:
        return len(self.paths)

    def columns(self, place: int) -> Tensor:
        """The columns (C, M) of one picture."""
        return self.images.columns[place]
