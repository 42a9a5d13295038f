"""What a network extracts from images, as the matching takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from .columns import Columns


class Images(NamedTuple):
    """Features of some images. B images, D global features, C channels, N_b columns of an image.

    Attributes:
        features: (B, D) global features of unit length.
        columns: (C, N_b) of every image.
        weights: (N_b,) of every image, how much each of its columns counts in a query.
    """

    features: Tensor
    columns: Columns
    weights: Sequence[Tensor]
