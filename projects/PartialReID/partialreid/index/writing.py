"""What is written into an index: images added, replaced and removed, and what is known of them.

Shapes: C channels, N columns of an image, D global features.
"""

from __future__ import annotations

import collections
import errno
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..images.lists import name_some
from .coarse_stage import read_space, settings_of, space_of, write_codes, write_space
from .database import Database
from .image_rows import METADATA, note_rows, require_whole
from .packing import checksum, packed
from .record import KINDS, Record, kind_of, require_values
from .selection import Value
from .stamps import Stamp
from .stored_columns import DTYPE

# Where something of an image is.
TABLES = ("metadata", "columns", "coarse", "features", "checksums", "images")
# Of an image's coarse code, weights, names and values, about.
BYTES_BESIDES = 4096


def put(database: Database, records: Sequence[Record], device: torch.device) -> None:
    """Add images, in place of those of the same names, in one commit.

    Args:
        database: open for writing.
        records: each of another name.
        device: where the coarse codes are computed.

    Raises:
        ValueError: an image holds an infinity or NaN, or does not fit those before it.
        OSError: there is no room.
    """
    if not records:
        return
    names = collections.Counter(record.name for record in records)
    if twice := [name for name, times in names.items() if times > 1]:
        raise ValueError(
            f"the images that are put into an index must have different names; more than one is "
            f"{name_some(twice)}."
        )
    columns = [record.columns.to(DTYPE) for record in records]
    shapes = {kind_of(record, rounded) for record, rounded in zip(records, columns)}
    stored = tuple(database.about(key) for key in KINDS)
    shapes |= {stored} - {(None,) * len(KINDS)}
    if len(shapes) > 1:
        raise ValueError(
            f'the images of the index "{database.path}" must be alike in '
            f"{', '.join(KINDS)}, not {' and '.join(map(str, sorted(shapes)))}."
        )
    # What is written lies in the file of new commits as well, until it is taken over.
    require_room(database, 2 * sum(map(_bytes, records)))
    on_device = [some.to(device) for some in columns]
    with database.transaction():
        added = int(database.about("added") or 0) + len(records)
        database.set_about({**dict(zip(KINDS, shapes.pop())), "added": added})
        space = read_space(database, device)
        if space is None:
            space = space_of(on_device, settings_of(database))
            write_space(database, space, len(records))
        ids = _put_rows(database, records, columns)
        write_codes(database, space, ids, on_device)


def _bytes(record: Record) -> int:
    return DTYPE.itemsize * record.columns.numel() + 4 * len(record.feature) + BYTES_BESIDES


def _put_rows(
    database: Database, records: Sequence[Record], columns: Sequence[Tensor]
) -> list[int]:
    """Write all of some images but their codes; returns their new ids."""
    known = ids_of(database, [record.name for record in records])
    metadata = [_kept_metadata(database, record, known.get(record.name)) for record in records]
    _remove(database, known.values())
    database.write(
        "INSERT INTO images (name, size, modified, content, count) VALUES (?, ?, ?, ?, ?)",
        [(record.name, *record.stamp, len(record.weights)) for record in records],
    )
    ids = list(ids_of(database, [record.name for record in records]).values())
    features = [packed(record.feature) for record in records]
    database.write(
        "INSERT INTO features VALUES (?, ?, ?)",
        [(i, checksum(feature), feature) for i, feature in zip(ids, features)],
    )
    database.write("INSERT INTO columns VALUES (?, ?, ?, ?)", _column_rows(ids, records, columns))
    for identifier, values in zip(ids, metadata):
        _write_metadata(database, identifier, values)
    note_rows(database, ids)
    return ids


def _column_rows(
    ids: Sequence[int], records: Sequence[Record], columns: Sequence[Tensor]
) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Rows of the table of columns, one at a time: together they would be a copy of all."""
    for identifier, record, some in zip(ids, records, columns):
        weights, data = packed(record.weights.float()), packed(some)
        yield identifier, checksum(weights, data), weights, data


def _kept_metadata(
    database: Database, record: Record, identifier: int | None
) -> Mapping[str, Value]:
    if record.metadata is not None or identifier is None:
        return record.metadata or {}
    require_whole(database, [identifier])
    return dict(database.rows(METADATA, (identifier,)))


def _write_metadata(database: Database, identifier: int, values: Mapping[str, Value]) -> None:
    rows = [(name, identifier, value) for name, value in values.items()]
    database.write("INSERT INTO metadata VALUES (?, ?, ?)", rows)


def remove(database: Database, names: Sequence[str]) -> None:
    """Remove images in one commit.

    Raises:
        ValueError: the index has none of such a name.
    """
    known = _known(database, names)
    with database.transaction():
        _remove(database, known.values())


def restamp(database: Database, stamps: Mapping[str, Stamp]) -> None:
    """Note in one commit that files were touched but not changed.

    Raises:
        ValueError: the index has no image of such a name, or what it knows of one is damaged.
    """
    ids = _known(database, list(stamps)).values()
    require_whole(database, ids)
    rows = [(stamp.size, stamp.modified, name) for name, stamp in stamps.items()]
    with database.transaction():
        database.write("UPDATE images SET size = ?, modified = ? WHERE name = ?", rows)
        note_rows(database, ids)


def tell(database: Database, about: Mapping[str, Any]) -> None:
    """Write values into what was given when the index was made, in one commit; others stay.

    Raises:
        ValueError: the index is open for reading.
    """
    with database.transaction():
        values = {**json.loads(database.about("about")), **about}
        database.set_about({"about": json.dumps(values)})


def set_metadata(database: Database, metadata: Mapping[str, Mapping[str, Value]]) -> None:
    """Replace what is known of some images, in one commit.

    Raises:
        ValueError: the index has no image of such a name, or what it knows of one is damaged.
    """
    known = _known(database, list(metadata))
    for name, values in metadata.items():
        require_values(name, values)
    require_whole(database, known.values())
    with database.transaction():
        database.write("DELETE FROM metadata WHERE id = ?", [(i,) for i in known.values()])
        for name, values in metadata.items():
            _write_metadata(database, known[name], values)
        note_rows(database, known.values())


def ids_of(database: Database, names: Sequence[str]) -> dict[str, int]:
    """Names and ids of those images that the index has, in the order of `names`."""
    found = {}
    for name in names:
        for (identifier,) in database.rows("SELECT id FROM images WHERE name = ?", (name,)):
            found[name] = identifier
    return found


def require_room(database: Database, size: float) -> None:
    """Raise OSError where the disk has no room for so many more bytes."""
    if size > database.room():
        error = OSError(
            f'the index "{database.path}" needs {size / 1e9:.3g} GB more, and there is room for '
            f"{database.room() / 1e9:.3g} GB: make room there, or choose another disk."
        )
        error.errno = errno.ENOSPC
        raise error


def _known(database: Database, names: Sequence[str]) -> dict[str, int]:
    known = ids_of(database, names)
    for name in names:
        if name not in known:
            raise ValueError(f'the index "{database.path}" has no image "{name}".')
    return known


def _remove(database: Database, ids: Iterable[int]) -> None:
    rows = [(identifier,) for identifier in ids]
    for table in TABLES:
        database.write(f"DELETE FROM {table} WHERE id = ?", rows)
