"""What SQLite says of the file of an index, in sentences."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator


@contextlib.contextmanager
def database_errors(path: str) -> Iterator[None]:
    """Turn what SQLite says into a sentence about the index at `path`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        said = str(error)
        if "full" in said or "disk I/O" in said:
            room = OSError(
                f'the disk of the index "{path}" is full, or fails ({said}); its last commit '
                "stays: make room there, or copy it to another disk."
            )
            room.errno = errno.ENOSPC
            raise room from error
        if "locked" in said:
            raise ValueError(
                f'another program holds the index "{path}" ({said}): wait until it is done.'
            ) from error
        if "unable to open" in said or "readonly" in said:
            raise ValueError(
                f'the index "{path}" cannot be opened ({said}): its files may not be read by this '
                "user, or its disk cannot be written to while another writes it."
            ) from error
        if "closed database" in said:
            raise ValueError(
                f'the index "{path}" is closed: columns are fetched when they are asked for, so '
                "that it must stay open as long as its images are used."
            ) from error
        if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
            raise  # of this package, not of the file
        raise damaged(path, said) from error
    except UnicodeDecodeError as error:  # of what SQLite says of a name that it has read
        raise damaged(path, str(error)) from error


def damaged(path: str, what: str) -> ValueError:
    """The error of an index that is not what was written."""
    return ValueError(
        f'the index "{path}" is damaged ({what}): take a copy of it, or make it again from its '
        "pictures."
    )
