"""Which windows of a gallery image is a query put together from? A part of docs/ingredients.md.

    python -m benchmarks.gallery_windows CONFIG CHECKPOINT [KEY VALUE ...]

A query's columns are of windows of several sizes, and so are those of the gallery. On CUHK03-val,
from one camera to another and within one, whole, cut and hidden, the same network is evaluated with
a part of the gallery's windows; all of the query's stay, and no network is trained. Of a map of
16 x 8 cells 32, 21, 12 and 5 windows have 2, 4, 6 and 8 cells. `benchmarks.query_weights` asks the
same of the query.

It writes docs/results/validation/gallery_windows.json and prints the table of the page.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.evaluated_ways import STRIDE, ways_of_command_line
from benchmarks.validation import RESULTS
from partialreid.matching.windows import column_windows

RECORD = RESULTS / "gallery_windows.json"
# Sides of the windows that stay, in cells of the map.
WAYS: dict[str, tuple[int, ...]] = {
    "all windows": (2, 4, 6, 8),
    "of 2 and 4": (2, 4),
    "of 2, 4 and 6": (2, 4, 6),
    "of 4, 6 and 8": (4, 6, 8),
    "of 6 and 8": (6, 8),
}


class Thinned(nn.Module):
    """A network whose gallery images have a part of their columns.

    What is left out becomes zero: nothing of a query is put together from such a column, so that it
    is as if it were not there, and a batch stays one tensor.

    Args:
        model: gives features (B, C), columns (B, C, N) and weights (B, N) of a batch of a loader.
        sides: of the windows that stay.
        gallery: paths of the images that it holds for.
        kernels, stride: of the pyramid, in cells of the map.
    """

    def __init__(
        self,
        model: nn.Module,
        sides: tuple[int, ...],
        gallery: Collection[str],
        kernels: tuple[int, ...],
        stride: int,
    ) -> None:
        super().__init__()
        self.model, self.sides, self.gallery = model, torch.tensor(sides), gallery
        self.pyramid = (kernels, stride)

    def forward(self, inputs: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Features, columns, those of other windows of a gallery image zero, and weights."""
        features, columns, weights = self.model(inputs)
        height, width = (side // STRIDE for side in inputs["images"].shape[2:])
        tops, _, bottoms, _ = column_windows(height, width, *self.pyramid).unbind(1)
        stays = torch.isin(bottoms - tops, self.sides)
        thinned = torch.tensor([path in self.gallery for path in inputs["img_paths"]])
        gone = (thinned[:, None] & ~stays).to(columns.device)
        return features, columns.masked_fill(gone[:, None], 0), weights


def main(argv: list[str] | None = None) -> int:
    def thinned(model: nn.Module, way: str, cfg: Any, gallery: set[str]) -> nn.Module:
        pyramid = cfg.MODEL.HEADS.DSR
        return Thinned(model, WAYS[way], gallery, tuple(pyramid.KERNELS), pyramid.STRIDE)

    return ways_of_command_line(argv, __doc__, tuple(WAYS), thinned, RECORD)


if __name__ == "__main__":
    sys.exit(main())
