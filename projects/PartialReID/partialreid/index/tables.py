"""The tables of an index, as SQLite is told to make them, and whether a file has them."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Iterable

from .errors import damaged

FORMAT = 2  # a higher one cannot be read by this version
SUMMED = 2  # since this format all has a checksum, names and metadata as well
FIRST = """
CREATE TABLE about (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL, modified INTEGER NOT NULL, content TEXT NOT NULL, count INTEGER NOT NULL
);
CREATE TABLE features (id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, feature BLOB NOT NULL);
CREATE TABLE coarse (
    id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, scale REAL NOT NULL, levels BLOB NOT NULL
);
CREATE TABLE columns (
    id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, weights BLOB NOT NULL, columns BLOB NOT NULL
);
CREATE TABLE metadata (
    name TEXT NOT NULL, id INTEGER NOT NULL, value NOT NULL, PRIMARY KEY (name, id)
) WITHOUT ROWID;
CREATE INDEX metadata_values ON metadata (name, value);
CREATE INDEX metadata_images ON metadata (id);
"""
# Of what is known of each image: name, stamp, count, metadata.
CHECKSUMS = "CREATE TABLE checksums (id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL);"
MADE = "SELECT type, name, tbl_name, sql FROM sqlite_master"


def tables_of(number: int) -> str:
    """What makes the tables of a format."""
    return FIRST + CHECKSUMS if number >= SUMMED else FIRST


def require_tables(path: str, found: Iterable[tuple[object, ...]], number: int) -> None:
    """Raise ValueError unless a file has the tables of a format.

    A changed bit in what a table is may have SQLite take its rows for others, or for none.

    Args:
        path: of the index.
        found: what `MADE` gives.
        number: the format.
    """
    if set(found) != _made(number):
        raise damaged(path, "what its tables are")


@functools.cache
def _made(number: int) -> set[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(tables_of(number))
        return set(connection.execute(MADE))
