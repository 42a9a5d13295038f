"""An index of an earlier version becomes one of this, by its first writer."""

from __future__ import annotations

from .database import Database
from .image_rows import note_rows
from .tables import CHECKSUMS, FORMAT


def upgrade(database: Database) -> None:
    """Add what an index of format 1 lacks, in one commit: checksums of what it says of itself and
    of its images' names, stamps and metadata, as they are now.

    Args:
        database: open for writing.

    Raises:
        OSError: there is no room.
    """
    if database.format == FORMAT:
        return
    ids = [identifier for (identifier,) in database.rows("SELECT id FROM images")]
    with database.transaction():
        for statement in (CHECKSUMS, f"PRAGMA user_version = {FORMAT}"):
            list(database.rows(statement))
        note_rows(database, ids)
