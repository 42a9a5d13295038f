"""A part of many columns, or the columns of several sources in a row, without a copy.

Shapes: C channels, N_b columns of an image.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor

from .columns import ColumnBlocks, Columns, ColumnSource


class ColumnPart:
    """Some of many columns as a source; see `columns.ColumnSource`.

    Args:
        columns: of all images.
        images: numbers of some of them.
    """

    def __init__(self, columns: Columns, images: Sequence[int]) -> None:
        whole = ColumnBlocks(columns, "these")
        self._columns, self._images = columns, images
        self.counts = [whole.counts[image] for image in images]
        self.channels, self.dtype, self.device = whole.channels, whole.stored, whole.device

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, image: int) -> Tensor:
        """The columns (C, N_b) of one image."""
        if not 0 <= image < len(self):
            raise IndexError(f"image {image} of {len(self)}")
        return self._columns[self._images[image]]


class JoinedColumns:
    """The images of several sources, one source after the other; see `columns.ColumnSource`.

    Args:
        sources: of one number of channels, dtype and device, apart from those without images.
    """

    def __init__(self, sources: Sequence[ColumnSource]) -> None:
        self._sources = sources
        self._starts = list(accumulate((len(source) for source in sources), initial=0))
        self.counts = [count for source in sources for count in source.counts]
        some = max(sources, key=len)
        self.channels, self.dtype, self.device = some.channels, some.dtype, some.device

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, image: int) -> Tensor:
        """The columns (C, N_b) of one image."""
        if not 0 <= image < len(self):
            raise IndexError(f"image {image} of {len(self)}")
        place = bisect_right(self._starts, image) - 1
        return self._sources[place][image - self._starts[place]]
