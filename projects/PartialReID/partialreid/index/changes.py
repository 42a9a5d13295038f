"""What has happened to the files of a gallery since they were indexed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from ..runtime.progress import progress
from .database import Database
from .record import require_name
from .stamps import Stamp, stamp_of


class Changes(NamedTuple):
    """Names of files by what is to be done with them.

    Attributes:
        new: not in the index.
        changed: with another content than that of the index.
        touched: of another time, but with the same content: their times are to be noted.
        unchanged: of the same size and time, or touched.
        gone: in the index alone.
        unreadable: with the reason; the index keeps what it has of them.
    """

    new: dict[str, Stamp]
    changed: dict[str, Stamp]
    touched: dict[str, Stamp]
    unchanged: list[str]
    gone: list[str]
    unreadable: dict[str, str]


def changes(database: Database, names: Sequence[str], root: str) -> Changes:
    """Compare files with an index.

    A file of the size and time that the index knows is not read. Any other is, and its content
    decides.

    Args:
        database: of the index.
        names: of all files of the gallery, below `root`.
        root: folder of the gallery.

    Raises:
        ValueError: a name is not text.
    """
    for name in names:
        require_name(name)
    statement = "SELECT name, size, modified, content FROM images"
    known = {name: Stamp(*stamp) for name, *stamp in database.rows(statement)}
    found = Changes({}, {}, {}, [], [], {})
    for name in progress(names, len(names), "files compared", "files"):
        path, before = os.path.join(root, name), known.get(name)
        try:
            if before is not None:
                status = os.stat(path)
                if (status.st_size, status.st_mtime_ns) == before[:2]:
                    found.unchanged.append(name)
                    continue
            now = stamp_of(path)
        except OSError as error:
            found.unreadable[name] = error.strerror or type(error).__name__
            continue
        if before is None:
            found.new[name] = now
        elif now.content != before.content:
            found.changed[name] = now
        else:
            found.touched[name] = now
            found.unchanged.append(name)
    found.gone.extend(known.keys() - set(names))
    found.gone.sort()
    return found
