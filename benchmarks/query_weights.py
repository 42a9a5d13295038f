"""How much is each column of a query to count? A part of docs/ingredients.md.

    python -m benchmarks.query_weights CONFIG CHECKPOINT [KEY VALUE ...]

The distance weighs what is left over of each of the query's columns by how much person it shows, as
the occlusion unit says. On CUHK03-val, from one camera to another and within one, whole, cut and
hidden, the same network is evaluated with other weights: all columns alike, the roots of the
weights, their squares; and with the small windows of the query alone, or the large ones. The
gallery's columns stay as they are, and no network is trained.

It writes docs/results/validation/query_weights.json and prints the table of the page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.evaluated_ways import STRIDE, ways_of_command_line
from benchmarks.validation import RESULTS
from partialreid.matching.windows import column_windows

RECORD = RESULTS / "query_weights.json"
# Weights (B, N) and the side of each column's window (N,), to the weights that are matched by.
WAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "as they are": lambda weights, windows: weights,
    "all alike": lambda weights, windows: torch.ones_like(weights),
    "roots": lambda weights, windows: weights.sqrt(),
    "squares": lambda weights, windows: weights.square(),
    "windows of 2 and 4": lambda weights, windows: weights * (windows <= 4),
    "windows of 6 and 8": lambda weights, windows: weights * (windows > 4),
}


class Reweighted(nn.Module):
    """A network whose columns count as one of WAYS says.

    Args:
        model: gives features (B, C), columns (B, C, N) and weights (B, N) of a batch of a loader.
        way: a name of WAYS.
        kernels, stride: of the pyramid, in cells of the map.
    """

    def __init__(self, model: nn.Module, way: str, kernels: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.model, self.way, self.pyramid = model, way, (kernels, stride)

    def forward(self, inputs: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Features, columns, and other weights, which sum to one for each image."""
        features, columns, weights = self.model(inputs)
        height, width = (side // STRIDE for side in inputs["images"].shape[2:])
        tops, _, bottoms, _ = column_windows(height, width, *self.pyramid).unbind(1)
        changed = WAYS[self.way](weights, (bottoms - tops).to(weights))
        return features, columns, changed / changed.sum(1, keepdim=True)


def main(argv: list[str] | None = None) -> int:
    def reweighted(model: nn.Module, way: str, cfg: Any, _: set[str]) -> nn.Module:
        pyramid = cfg.MODEL.HEADS.DSR
        return Reweighted(model, way, tuple(pyramid.KERNELS), pyramid.STRIDE)

    return ways_of_command_line(argv, __doc__, tuple(WAYS), reweighted, RECORD)


if __name__ == "__main__":
    sys.exit(main())
