"""The coarse space of an index: fitted to its images, and again whenever they have doubled.

Shapes: B images, C channels, d dimensions of the space, L = d (d + 1) / 2.

The space is that of a sample of the gallery. What is added later is coded in it as well, and after
as many additions as there were images at the fit, space and codes are made anew: the sample is
never older than half of what was added, and each image is coded again about once on the average.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ..matching.coarse import BLOCK, DIMENSIONS, KAPPA, CoarseIndex, CoarseSpace
from ..matching.coarse_fit import fitted_space
from ..matching.coarse_shortlist import SAMPLE
from ..matching.column_parts import ColumnPart
from ..matching.columns import ColumnBlocks, Columns
from ..runtime.progress import progress
from .database import Database
from .errors import damaged
from .packing import checksum, packed, unpacked
from .stored_columns import StoredColumns

NUMBERS = torch.float32  # of the space and of the scale of each image


class CoarseSettings(NamedTuple):
    """How roughly images are compared; the keys of TEST.DSR.COARSE.

    Attributes:
        dimensions: d; at most C is taken.
        kappa: the ridge.
        sample: how many images, about, determine the space.
    """

    dimensions: int = DIMENSIONS
    kappa: float = KAPPA
    sample: int = SAMPLE


def settings_of(database: Database) -> CoarseSettings:
    """The settings that an index was made with.

    Raises:
        ValueError: they are no longer what was written.
    """
    try:
        return CoarseSettings(**json.loads(database.about("coarse")))
    except TypeError as error:  # of an earlier version, which has no checksum of it
        raise damaged(database.path, "the settings of its coarse space") from error


def space_of(columns: Columns, settings: CoarseSettings) -> CoarseSpace:
    """The coarse space of some images, at least one: every so many of them are its sample."""
    total, blocks = len(columns), ColumnBlocks(columns, "gallery")
    chosen = range(0, total, max(1, total // settings.sample))
    like = torch.empty(blocks.channels or 0, dtype=NUMBERS, device=blocks.device)
    return fitted_space(
        columns, chosen, like, settings.dimensions, settings.kappa, images=len(chosen)
    )


def read_space(database: Database, device: torch.device) -> CoarseSpace | None:
    """The coarse space of an index; None before the first image.

    Raises:
        ValueError: it is no longer what was written.
    """
    wanted = database.about("space checksum")
    if wanted is None:
        return None
    basis, mean = database.about("basis"), database.about("mean")
    if checksum(basis, mean) != wanted:
        raise damaged(database.path, "its coarse space")
    length = len(mean) // NUMBERS.itemsize
    channels = database.about("channels")
    dimensions = len(basis) // (NUMBERS.itemsize * max(channels, 1))
    try:
        return CoarseSpace(
            unpacked(basis, NUMBERS, (channels, dimensions)).to(device),
            settings_of(database).kappa,
            unpacked(mean, NUMBERS, (length,)).to(device),
        )
    except ValueError as error:
        raise damaged(database.path, f"its coarse space: {error}") from error


def write_space(database: Database, space: CoarseSpace, images: int) -> None:
    """Write the space that was fitted to so many images; in a transaction."""
    basis, mean = packed(space.basis), packed(space.mean)
    values = {"basis": basis, "mean": mean, "space checksum": checksum(basis, mean)}
    fits = int(database.about("fits") or 0) + 1
    database.set_about({**values, "fits": fits, "fitted": images, "added": 0})


def write_codes(
    database: Database, space: CoarseSpace, ids: Sequence[int], columns: Columns
) -> None:
    """Write the codes of some images in place of those they have; in a transaction."""
    index = CoarseIndex(space, columns)
    rows = []
    for identifier, scale, levels in zip(ids, index.scale.tolist(), index.levels.cpu()):
        data = packed(levels)
        rows.append((identifier, code_checksum(scale, data), scale, data))
    database.write("INSERT OR REPLACE INTO coarse VALUES (?, ?, ?, ?)", rows)


def code_checksum(scale: object, levels: object) -> int:
    """Of what is stored of an image's code."""
    if not isinstance(scale, float):
        return checksum(scale)
    return checksum(struct.pack("<d", scale), levels)


def refit_if_due(database: Database, device: torch.device) -> None:
    """Fit the space to all images and code them anew, in one commit, if they have doubled.

    Twice as many may have been added and some of them removed again: what counts is that the sample
    is old.
    """
    if int(database.about("added") or 0) < int(database.about("fitted") or 1):
        return
    found = list(database.rows("SELECT id, count FROM images ORDER BY id"))
    if not found:
        return
    ids, counts = map(list, zip(*found))
    columns = StoredColumns(database, ids, counts, database.about("channels"), device)
    with database.transaction():
        space = space_of(columns, settings_of(database))
        write_space(database, space, len(ids))
        starts = range(0, len(ids), BLOCK)
        for start in progress(starts, len(starts), "coarse codes", "blocks"):
            some = range(start, min(start + BLOCK, len(ids)))
            write_codes(database, space, ids[start : some.stop], ColumnPart(columns, some))
