"""The file of an index: SQLite's, which commits whole or not at all, whatever ends the process.

An index is a folder, as SQLite keeps the newest commits in a second file beside the first, and who
copies one without the other loses them. Readers see the commit at which they began, while one
process writes (its WAL mode).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from filelock import FileLock, Timeout

from ..runtime.source_version import version_of_source
from .errors import damaged, database_errors
from .settings import CHECKSUM, require_settings, settings_checksum
from .tables import FORMAT, MADE, SUMMED, require_tables

FILE, LOCK = "images.sqlite", "writer.lock"
APPLICATION = 0x50524944  # "PRID", by which SQLite's files are told apart
# Of a page. Smaller ones make more work of an image's columns, larger ones leave more room unused.
PAGE_BYTES = 32768
# How long a second writer waits for the first, and anybody for a lock of a moment.
SECONDS_TO_WAIT = 5.0
# To what size the file of new commits is cut back.
MOST_NEW_BYTES = 2**27


def is_index(path: str) -> bool:
    """Whether a path is that of an index."""
    return os.path.isfile(os.path.join(path, FILE))


class Database:
    """The file of an index, open at its last commit. One thread at a time.

    Args:
        path: folder of the index.
        write: whether this process is to be the one that writes.

    Attributes:
        path: as given.
        writable: whether this process is the one that writes.
        format: of the commit that is read.

    Raises:
        ValueError: there is no index, it is damaged or of a newer version, or another process
            writes.
    """

    def __init__(self, path: str, write: bool = False) -> None:
        self.path, self.writable = path, write
        if not is_index(path):
            raise ValueError(f'"{path}" is no index: it has no {FILE}.')
        file = os.path.join(path, FILE)
        # A reader writes as well where it may: which commit it reads, beside the file.
        self._own = os.access(path, os.W_OK) and os.access(file, os.W_OK)
        if write and not self._own:
            raise ValueError(f'the index "{path}" may not be written to by this user.')
        self._lock = FileLock(os.path.join(path, LOCK))
        if write:
            self._acquire()
        try:
            self._connection = self._connected()
        except BaseException:
            self._lock.release()
            raise
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def rows(self, statement: str, parameters: Iterable[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """What a statement finds, row by row.

        Raises:
            ValueError: the file is damaged.
        """
        with database_errors(self.path):
            yield from self._connection.execute(statement, tuple(parameters))

    def about(self, key: str) -> Any:
        """A value of the table `about`; None where it has none."""
        for (value,) in self.rows("SELECT value FROM about WHERE key = ?", (key,)):
            return value
        return None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """One commit of what the body writes; nothing of it is left when the body fails.

        Raises:
            ValueError: the index is open for reading.
            OSError: there is no room.
        """
        if not self.writable:
            raise ValueError(f'the index "{self.path}" is open for reading: open it for writing.')
        # While it reads an old commit, the file of new ones could not be taken up again.
        self._end()
        try:
            with database_errors(self.path):
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("UPDATE about SET value = value + 1 WHERE key = 'commit'")
                self.set_about({CHECKSUM: settings_checksum(self._settings())})
                self._connection.execute("COMMIT")
        finally:
            self._end()
            self._begin()

    def write(self, statement: str, rows: Iterable[Iterable[Any]]) -> None:
        """Run a statement for each row of its parameters; in a transaction."""
        self._connection.executemany(statement, (tuple(row) for row in rows))

    def set_about(self, values: Mapping[str, Any]) -> None:
        """Write values into the table `about`; in a transaction."""
        self.write("INSERT OR REPLACE INTO about VALUES (?, ?)", values.items())

    def refresh(self) -> None:
        """Go on at the last commit."""
        self._end()
        self._begin()

    def room(self) -> int:
        """Bytes that are free on the disk, or were left by images that are gone."""
        ((left,),) = self.rows("PRAGMA freelist_count")
        return shutil.disk_usage(self.path).free + int(left) * PAGE_BYTES

    def used_bytes(self) -> int:
        """What the images take, without what was left by others and what is not taken over yet."""
        ((pages,),), ((left,),) = map(self.rows, ("PRAGMA page_count", "PRAGMA freelist_count"))
        return (int(pages) - int(left)) * PAGE_BYTES

    def disk_bytes(self) -> int:
        """What the files take on the disk."""
        with os.scandir(self.path) as files:
            return sum(file.stat().st_size for file in files)

    def close(self) -> None:
        """Let go of the file, and of the right to write."""
        self._connection.close()
        self._lock.release()

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=SECONDS_TO_WAIT)
        except Timeout as error:
            raise ValueError(
                f'another process writes to the index "{self.path}": wait until it is done, or '
                "open the index for reading."
            ) from error

    def _connected(self) -> sqlite3.Connection:
        file = os.path.abspath(os.path.join(self.path, FILE))
        # Where nobody has begun to write, and this user may not, SQLite need not ask who does.
        mode = "rw" if self._own else "ro" if os.path.exists(f"{file}-wal") else "ro&immutable=1"
        name = file.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        with database_errors(self.path):
            connection = sqlite3.connect(
                f"file:{name}?mode={mode}",
                uri=True,
                timeout=SECONDS_TO_WAIT,
                isolation_level=None,
                check_same_thread=False,
            )
            # Each commit is on the disk before it is acknowledged.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {MOST_NEW_BYTES}")
            # What was removed is overwritten: it may be somebody's who wanted it gone.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA query_only = {0 if self.writable else 1}")
        return connection

    def _check_format(self) -> None:
        ((application,),) = self.rows("PRAGMA application_id")
        ((self.format,),) = self.rows("PRAGMA user_version")
        if application != APPLICATION:
            raise ValueError(f'"{self.path}" is no index of partialreid.')
        if self.format < 1:
            raise damaged(self.path, f"it has the format {self.format}")
        if self.format > FORMAT:
            raise ValueError(
                f'"{self.path}" is an index of format {self.format}, written by partialreid '
                f"{self.about('version')}; this is {version_of_source()}, which reads format "
                f"{FORMAT}: install a newer one."
            )

    def _begin(self) -> None:
        with database_errors(self.path):
            self._connection.execute("BEGIN")
        # Only what is read fixes the commit.
        self._check_format()
        require_tables(self.path, self.rows(MADE), self.format)
        require_settings(self.path, self._settings(), self.format >= SUMMED)

    def _settings(self) -> dict[str, Any]:
        return dict(self.rows("SELECT key, value FROM about"))

    def _end(self) -> None:
        with database_errors(self.path):
            # An error of the disk has rolled back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
