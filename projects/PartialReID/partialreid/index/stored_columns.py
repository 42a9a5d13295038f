"""Columns and weights of an index, fetched image by image when they are asked for.

Shapes: C channels, N_b columns of an image.

None is kept: the matching takes each shortlisted image once, and the system keeps what it has read
in free memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor

from .database import Database
from .errors import damaged
from .packing import checksum, length, unpacked

DTYPE = torch.float16


class StoredColumns:
    """Columns (C, N_b) of some images; see `columns.ColumnSource`.

    Args:
        database: that holds them.
        ids: of the images in it.
        counts: N_b of each.
        channels: C.
        device: where a fetched image is to be.
    """

    def __init__(
        self,
        database: Database,
        ids: Sequence[int],
        counts: Sequence[int],
        channels: int | None,
        device: torch.device,
    ) -> None:
        self._database, self._ids = database, ids
        self.counts, self.channels = counts, channels
        self.dtype, self.device = DTYPE, device

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, image: int) -> Tensor:
        """The columns of one image, bit by bit as they were stored.

        Raises:
            ValueError: they are no longer what was written.
        """
        if not 0 <= image < len(self):
            raise IndexError(f"image {image} of {len(self)}")
        identifier = self._ids[image]
        columns = columns_of(self._database, identifier)
        shape = (self.channels or 0, self.counts[image])
        try:
            return unpacked(columns, self.dtype, shape).to(self.device)
        except ValueError as error:  # the columns are whole, their count is not
            raise damaged(
                self._database.path, f"the columns of image {identifier}: {error}"
            ) from error


def columns_of(database: Database, identifier: int) -> bytes:
    """The bytes of an image's columns.

    Raises:
        ValueError: they are no longer what was written.
    """
    found = "SELECT checksum, weights, columns FROM columns WHERE id = ?"
    for wanted, weights, columns in database.rows(found, (identifier,)):
        if checksum(weights, columns) == wanted:
            data: bytes = columns
            return data
    raise damaged(database.path, f"the columns of image {identifier}")


class StoredWeights(Sequence[Tensor]):
    """Weights (N_b,) of the columns of some images.

    Args:
        database: that holds them.
        ids: of the images in it.
        device: where fetched weights are to be.
    """

    def __init__(self, database: Database, ids: Sequence[int], device: torch.device) -> None:
        self._database, self._ids, self._device = database, ids, device

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, image: int) -> Tensor: ...

    @overload
    def __getitem__(self, image: slice) -> StoredWeights: ...

    def __getitem__(self, image: int | slice) -> Tensor | StoredWeights:
        """The weights of one image, or of some, which are not fetched then."""
        if isinstance(image, slice):
            return StoredWeights(self._database, self._ids[image], self._device)
        identifier = self._ids[image]
        found = "SELECT weights FROM columns WHERE id = ?"
        for (weights,) in self._database.rows(found, (identifier,)):
            count = (length(weights) or 0) // torch.float32.itemsize
            with contextlib.suppress(ValueError):
                return unpacked(weights, torch.float32, (count,)).to(self._device)
        raise damaged(self._database.path, f"the weights of image {identifier}")
