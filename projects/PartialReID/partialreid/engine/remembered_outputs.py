"""A model that runs every image once, for test sets that share a gallery.

Shapes: B images of a batch, C channels, N columns.
"""

from __future__ import annotations

import os
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ..matching.column_store import ColumnStore
from ..runtime.device_clock import seconds_on


class RememberedOutputs(nn.Module):
    """Outputs of a model in evaluation, kept by path and size of the image.

    `Market1501`, `Market1501Partial` and `Market1501Occluded` have one gallery: evaluated through
    this, it is extracted once. Outputs come back bit by bit.

    Args:
        model: takes a batch of a test loader, gives features (B, C), columns (B, C, N), weights
            (B, N).
        memory_bytes: of columns in memory; the rest lies in a file.
        folder: where that file lies, until the process ends.

    Attributes:
        images, seconds: how many images the model has run, and how long.
    """

    def __init__(
        self, model: nn.Module, memory_bytes: float, folder: str | os.PathLike[str]
    ) -> None:
        super().__init__()
        self.model = model
        self.images, self.seconds = 0, 0.0
        self._columns = ColumnStore(memory_bytes, folder, "cpu")
        # Features and weights, small beside the columns.
        self._others: list[tuple[Tensor, Tensor]] = []
        self._places: dict[tuple[str, int, int], int] = {}

    def forward(self, inputs: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of a batch: those kept, if all of its images have been seen in this size."""
        height, width = inputs["images"].shape[2:]
        keys = [(path, height, width) for path in inputs["img_paths"]]
        if all(key in self._places for key in keys):
            places = [self._places[key] for key in keys]
            features, weights = (
                torch.stack([self._others[place][part] for place in places]) for part in (0, 1)
            )
            columns = torch.stack([self._columns[place] for place in places])
            return features, columns.to(features.device), weights
        device = self._device()
        start = seconds_on(device)
        features, columns, weights = self.model(inputs)
        self.seconds += seconds_on(device) - start
        self.images += len(keys)
        for i, key in enumerate(keys):
            if key not in self._places:
                self._places[key] = len(self._columns)
                self._columns.append(columns[i : i + 1])
                self._others.append((features[i].clone(), weights[i].clone()))
        return features, columns, weights

    def _device(self) -> torch.device:
        """Where the model computes."""
        for tensor in chain(self.model.parameters(), self.model.buffers()):
            return tensor.device
        return torch.device("cpu")
