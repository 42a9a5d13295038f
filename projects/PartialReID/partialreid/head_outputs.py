"""What a network says of images in evaluation."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class HeadOutputs(NamedTuple):
    """Three tensors, as the original returns them, which also move as one.

    Shapes: B images, C channels, N columns.

    Attributes:
        features: (B, C) of the global distance.
        columns: (B, C, N) of the reconstruction distance, not normalised.
        weights: (B, N), how much each column counts in a query.
    """

    features: Tensor
    columns: Tensor
    weights: Tensor

    def cpu(self) -> HeadOutputs:
        """The same on the CPU. FastReID's DefaultPredictor asks its model's output for it."""
        return HeadOutputs(*(part.cpu() for part in self))
