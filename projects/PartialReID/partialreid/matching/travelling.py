"""Every process's images on every process: queries travel, galleries stay where they are.

Shapes: Q images of all processes, D global features, C channels, N columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..runtime.collectives import gather_objects, rank, share, world_size
from .column_parts import ColumnPart, JoinedColumns
from .column_store import ColumnStore
from .columns import Columns
from .extracted import Images


def everyones_images(
    mine: Images, with_columns: bool, block_bytes: float, visitors: ColumnStore | None
) -> Images:
    """The images of all processes, process by process; those of this one are not copied.

    Args:
        mine: this process's images.
        with_columns: False leaves columns and weights behind.
        block_bytes: how many bytes of columns travel at a time.
        visitors: where columns of other processes are kept; None: in memory.
    """
    if world_size() == 1:
        return mine
    device = mine.features.device
    counts = [len(some) for some in mine.weights] if with_columns else []
    described = gather_objects((counts, _cuts(mine, counts, block_bytes)))
    store = ColumnStore(float("inf"), "", device) if visitors is None else visitors
    features: list[Tensor] = []
    weights: list[Tensor] = []
    columns: list[ColumnPart] = []
    for owner, (theirs, cuts) in enumerate(described):
        features += share([mine.features], owner, device)
        arrived = len(store)
        for start, stop in cuts:
            some = range(start, stop) if owner == rank() else range(0)
            packed = [
                torch.cat([part[i].flatten() for i in some]) if some else torch.empty(0)
                for part in (mine.columns, mine.weights)
            ]
            flat, flat_weights = share(packed, owner, device)
            lengths = theirs[start:stop]
            weights += flat_weights.split(lengths)
            if owner != rank():
                channels = len(flat) // max(sum(lengths), 1)
                split = flat.split([channels * n for n in lengths])
                store.append(part.view(channels, n) for part, n in zip(split, lengths))
        source: Columns = mine.columns if owner == rank() else store.part(arrived, len(store))
        columns.append(ColumnPart(source, range(len(theirs))))
    if not with_columns:
        return Images(torch.cat(features), [], [])
    return Images(torch.cat(features), JoinedColumns(columns), weights)


def _cuts(images: Images, counts: Sequence[int], block_bytes: float) -> list[tuple[int, int]]:
    """First and last + 1 of each block of images, of about `block_bytes` of columns."""
    cuts: list[tuple[int, int]] = []
    if counts:
        column = images.columns[0][:, 0]
        most = block_bytes / (column.numel() * column.element_size())
        start, columns = 0, 0
        for stop, count in enumerate(counts):
            if columns and columns + count > most:
                cuts.append((start, stop))
                start, columns = stop, 0
            columns += count
        cuts.append((start, len(counts)))
    return cuts
