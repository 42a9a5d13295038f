"""A new index: its folder and its empty tables, made whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from typing import Any

from ..runtime.source_version import version_of_source
from .database import APPLICATION, FILE, PAGE_BYTES, is_index
from .errors import database_errors
from .settings import CHECKSUM, settings_checksum
from .tables import FORMAT, tables_of


def create_database(path: str, about: Mapping[str, Any]) -> None:
    """Make an index without images, whole or not at all.

    Args:
        path: of its folder, which is not there yet, or empty.
        about: what is written into the table of that name.

    Raises:
        ValueError: there is something at `path`, or no folder to make it in.
        OSError: it cannot be written.
    """
    require_place(path)
    if os.path.islink(path):
        path = os.path.realpath(path)  # the empty folder that it leads to
    parent, name = os.path.split(os.path.abspath(path))
    made = tempfile.mkdtemp(prefix=f"{name}.", suffix=".tmp", dir=parent)
    try:
        with database_errors(path):
            connection = sqlite3.connect(os.path.join(made, FILE), isolation_level=None)
            with contextlib.closing(connection):
                connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
                connection.executescript(f"BEGIN; {tables_of(FORMAT)} COMMIT;")
                rows = {"commit": 0, "version": version_of_source(), **about}
                rows[CHECKSUM] = settings_checksum(rows)
                connection.executemany("INSERT INTO about VALUES (?, ?)", rows.items())
        # What mkdtemp makes is the user's alone.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(made, 0o777 & ~umask)
        if os.path.isdir(path):
            os.rmdir(path)  # which is empty; not everywhere is a folder renamed over another
        os.rename(made, path)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def require_place(path: str) -> None:
    """Raise ValueError unless an index can be made at `path`: nothing, or an empty folder, in one
    that this user may write to."""
    if is_index(path):
        raise ValueError(f'"{path}" is there already: open it, or choose another name.')
    if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK):
        raise ValueError(
            f'"{path}" may not be opened by this user: have its rights changed, or choose another '
            "name."
        )
    empty = os.path.isdir(path) and not os.listdir(path)
    if os.path.lexists(path) and not empty:
        raise ValueError(
            f'"{path}" is there and is no index, as it has no {FILE}: choose another name, or '
            "empty it."
        )
    parent = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(parent):
        raise ValueError(f'the folder of "{path}" is not there: make it, or choose another.')
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ValueError(
            f'no index can be made at "{path}", as this user may not write to "{parent}": choose '
            "another folder."
        )
