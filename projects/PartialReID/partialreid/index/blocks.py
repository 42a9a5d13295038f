"""What a search reads of every image, kept in memory block by block up to a budget.

Shapes: B images of a block, D global features, L numbers of a coarse code.

A block holds the images whose ids begin alike, so that it stays as it is while images are added
after it. What the budget does not hold is read anew by each search, from the disk or from what the
system keeps of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from .coarse_stage import NUMBERS, code_checksum
from .database import Database
from .errors import damaged
from .packing import checksum, unpacked

IDS = 4096  # of a block: few enough for a small budget, many enough for one read
Block: TypeAlias = "tuple[Tensor, ...]"
"""Tensors of B rows each."""


class Budget:
    """Bytes that all blocks of an index may take together."""

    def __init__(self, most: float) -> None:
        self.left = most


class Blocks:
    """One kind of what is read of every image.

    Args:
        load: reads the images with ids from its first argument up to its second, in their order.
        budget: shared with the other kinds.
    """

    def __init__(self, load: Callable[[int, int], Block], budget: Budget) -> None:
        self._load, self._budget = load, budget
        self._kept: dict[int, tuple[np.ndarray, Block]] = {}

    def block(self, number: int, ids: np.ndarray) -> Block:
        """A block, as it is in memory or anew.

        Args:
            number: of the block: the ids divided by `IDS`.
            ids: (B,) all that the index has in it, ascending.
        """
        if number in self._kept:
            known, block = self._kept[number]
            if np.array_equal(known, ids):
                return block
            del self._kept[number]
            self._budget.left += _bytes(block)
        block = self._load(number * IDS, (number + 1) * IDS)
        if _bytes(block) <= self._budget.left:
            self._budget.left -= _bytes(block)
            self._kept[number] = ids, block
        return block

    def forget(self) -> None:
        """Keep no block: all have changed."""
        self._budget.left += sum(_bytes(block) for _, block in self._kept.values())
        self._kept = {}


def _bytes(block: Block) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in block)


def read_features(
    database: Database, dtype: torch.dtype, device: torch.device, first: int, stop: int
) -> Block:
    """The features (B, D) of the images with ids from `first` up to `stop`.

    Raises:
        ValueError: they are no longer what was written.
    """
    statement = "SELECT id, checksum, feature FROM features WHERE id >= ? AND id < ? ORDER BY id"
    rows = []
    for identifier, wanted, feature in database.rows(statement, (first, stop)):
        if checksum(feature) != wanted:
            raise damaged(database.path, f"the feature of image {identifier}")
        rows.append(feature)
    return (_stacked(database, rows, dtype).to(device),)


def read_feature(database: Database, dtype: torch.dtype, identifier: int) -> Tensor:
    """The feature (D,) of one image, on the CPU.

    Raises:
        ValueError: it is no longer what was written.
    """
    cpu = torch.device("cpu")
    (features,) = read_features(database, dtype, cpu, identifier, identifier + 1)
    if len(features) != 1:
        raise damaged(database.path, f"the feature of image {identifier}")
    return features[0]


def read_codes(database: Database, device: torch.device, first: int, stop: int) -> Block:
    """Levels (B, L) and scale (B,) of the images with ids from `first` up to `stop`.

    Raises:
        ValueError: they are no longer what was written.
    """
    found = "SELECT id, checksum, scale, levels FROM coarse WHERE id >= ? AND id < ? ORDER BY id"
    rows, scales = [], []
    for identifier, wanted, scale, levels in database.rows(found, (first, stop)):
        if code_checksum(scale, levels) != wanted:
            raise damaged(database.path, f"the coarse code of image {identifier}")
        rows.append(levels)
        scales.append(scale)
    scale = torch.tensor(scales, dtype=NUMBERS, device=device)
    return _stacked(database, rows, torch.int8).to(device), scale


def _stacked(database: Database, rows: list[bytes], dtype: torch.dtype) -> Tensor:
    """Rows of equal length as one tensor."""
    width = len(rows[0]) // dtype.itemsize if rows else 0
    try:
        return unpacked(b"".join(rows), dtype, (len(rows), width))
    except ValueError as error:
        raise damaged(database.path, f"images of different sizes: {error}") from error
