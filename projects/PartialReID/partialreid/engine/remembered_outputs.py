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

# Features (B, C), columns (B, C, N) and weights (B, N), or features alone.
Outputs = Tensor | tuple[Tensor, Tensor, Tensor]


class RememberedOutputs(nn.Module):
    """Outputs of a model in evaluation, kept by path and size of the image.

    `Market1501`, `Market1501Partial` and `Market1501Occluded` have one gallery: evaluated through
    this, it is extracted once. Outputs come back bit by bit, and columns as they lay in memory:
    what sums over channels rounds by that.

    Args:
        model: takes a batch of a test loader, gives features (B, C), columns (B, C, N), weights
            (B, N); or features alone, as FastReID's heads do.
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
        # Features, and weights if there are columns: small beside these.
        self._others: list[tuple[Tensor, ...]] = []
        self._places: dict[tuple[str, int, int], int] = {}
        # Whether the channels of a column lie side by side in memory, or a channel's columns.
        self._channels_adjacent = False

    def forward(self, inputs: dict[str, Any]) -> Outputs:
        """Outputs of a batch: those kept, if all of its images have been seen in this size.

        Returns:
            Features, columns and weights, or features alone, as the model gives them.
        """
        height, width = inputs["images"].shape[2:]
        keys = [(path, height, width) for path in inputs["img_paths"]]
        if all(key in self._places for key in keys):
            return self._kept([self._places[key] for key in keys])
        device = self._device()
        start = seconds_on(device)
        outputs = self.model(inputs)
        self.seconds += seconds_on(device) - start
        self.images += len(keys)
        for i, key in enumerate(keys):
            if key not in self._places:
                self._places[key] = len(self._others)
                self._keep(outputs, i)
        return outputs

    def _keep(self, outputs: Outputs, image: int) -> None:
        if isinstance(outputs, Tensor):
            self._others.append((outputs[image].clone(),))
            return
        features, columns, weights = outputs
        self._channels_adjacent = columns.stride(1) == 1
        self._columns.append(columns[image : image + 1])
        self._others.append((features[image].clone(), weights[image].clone()))

    def _kept(self, places: list[int]) -> Outputs:
        parts = zip(*(self._others[place] for place in places), strict=True)
        features, *weights = (torch.stack(part) for part in parts)
        if not weights:
            return features
        kept = [self._columns[place].to(features.device) for place in places]
        if self._channels_adjacent:
            return features, torch.stack([columns.mT for columns in kept]).mT, weights[0]
        return features, torch.stack(kept), weights[0]

    def _device(self) -> torch.device:
        """Where the model computes."""
        for tensor in chain(self.model.parameters(), self.model.buffers()):
            return tensor.device
        return torch.device("cpu")
