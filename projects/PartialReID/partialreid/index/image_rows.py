"""What an index knows of each image beside its numbers: name, stamp, count and metadata.

They have a checksum of their own. It is looked at by the check, where a row is written anew in
parts, and for each image of which the metadata or the stamp are asked for. A selection goes through
those of all images, and looks at none.
"""

from __future__ import annotations

from collections.abc import Iterable

from .database import Database
from .errors import damaged
from .packing import checksum
from .tables import SUMMED

ROW = "SELECT name, size, modified, content, count FROM images WHERE id = ?"
METADATA = "SELECT name, value FROM metadata WHERE id = ? ORDER BY name"


def note_rows(database: Database, ids: Iterable[int]) -> None:
    """Write the checksums of some images as they are now; in a transaction."""
    rows = [(identifier, row_checksum(database, identifier)) for identifier in ids]
    database.write("INSERT OR REPLACE INTO checksums VALUES (?, ?)", rows)


def row_checksum(database: Database, identifier: int) -> int:
    """Of all that is known of an image, as it is now."""
    found = [list(database.rows(statement, (identifier,))) for statement in (ROW, METADATA)]
    # Text of Python that all its versions write alike, whatever kinds of values there are.
    return checksum(ascii((identifier, found)).encode())


def is_whole(database: Database, identifier: int) -> bool:
    """Whether all that is known of an image is what was written; True where there is no checksum,
    as in an index of an earlier version."""
    if database.format < SUMMED:
        return True
    rows = database.rows("SELECT checksum FROM checksums WHERE id = ?", (identifier,))
    return [wanted for (wanted,) in rows] == [row_checksum(database, identifier)]


def require_whole(database: Database, ids: Iterable[int]) -> None:
    """Raise ValueError unless all that is known of some images is what was written."""
    for identifier in ids:
        if not is_whole(database, identifier):
            raise damaged(database.path, f"what is known of image {identifier}")
