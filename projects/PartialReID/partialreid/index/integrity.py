"""Whether all of an index is what was written.

Shapes: C channels, N columns of an image, D global features, L numbers of a coarse code.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..runtime.progress import progress
from .coarse_stage import code_checksum, read_space
from .database import Database
from .image_rows import is_whole
from .packing import checksum, length
from .record import feature_type
from .stored_columns import DTYPE
from .tables import SUMMED

PARTS = ("features", "coarse", "columns")  # tables with a row for each image
NUMBERS = """
SELECT images.name, images.count, features.checksum, feature, coarse.checksum, scale, levels,
    columns.checksum, weights, columns
FROM images JOIN features USING (id) JOIN coarse USING (id) JOIN columns USING (id)
ORDER BY images.id
"""


def problems(database: Database) -> list[str]:
    """What is wrong with an index, a line each; nothing where it is whole.

    The pages of the file, whether each image is complete, and every checksum. What an index says of
    itself has been looked at when it was opened.
    """
    found: list[str] = []
    for check in (_file, _completeness, _rows, _images):
        try:
            found += check(database)
        except ValueError as error:  # the file cannot be read on from there
            found.append(str(error))
    return found


def _file(database: Database) -> Iterator[str]:
    for (said,) in database.rows("PRAGMA integrity_check"):
        if said != "ok":
            yield f"the file: {said}"
    read_space(database, torch.device("cpu"))


def _completeness(database: Database) -> Iterator[str]:
    parts = (*PARTS, "checksums") if database.format >= SUMMED else PARTS
    for table in parts:
        without = f"SELECT name FROM images WHERE id NOT IN (SELECT id FROM {table})"
        for (name,) in database.rows(without):
            yield f'"{name}" has no {table}'
    for table in (*parts, "metadata"):
        without = f"SELECT DISTINCT id FROM {table} WHERE id NOT IN (SELECT id FROM images)"
        for (identifier,) in database.rows(without):
            yield f"there are {table} of image {identifier}, which is not there"


def _rows(database: Database) -> Iterator[str]:
    for identifier, name in database.rows("SELECT id, name FROM images ORDER BY id"):
        if not is_whole(database, identifier):
            yield f'what is known of "{name}" is not what was written'


def _images(database: Database) -> Iterator[str]:
    ((total,),) = database.rows("SELECT COUNT(*) FROM images")
    if not total:
        return
    channels, dimensions = database.about("channels"), database.about("dimensions")
    feature_bytes = dimensions * feature_type(database).itemsize
    code_bytes = len(database.about("mean")) // torch.float32.itemsize
    for row in progress(database.rows(NUMBERS), total, "images checked", "images"):
        name, count, of_feature, feature, of_code, scale, levels, of_columns, weights, columns = row
        sizes = tuple(map(length, (feature, levels, weights, columns)))
        wanted = (feature_bytes, code_bytes, 4 * count, DTYPE.itemsize * channels * count)
        if sizes != wanted:
            yield f'"{name}" has {sizes} bytes of feature, code, weights and columns, not {wanted}'
        sums = (checksum(feature), code_checksum(scale, levels), checksum(weights, columns))
        for part, now, then in zip(PARTS, sums, (of_feature, of_code, of_columns)):
            if now != then:
                yield f'the {part} of "{name}" are not what was written'
