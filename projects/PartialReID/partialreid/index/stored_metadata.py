"""What is known of the images of an index, fetched image by image when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from .database import Database
from .selection import Value

Known = dict[str, Value]


class StoredMetadata(Sequence[Known]):
    """Text and numbers by their names, of some images.

    Args:
        database: that holds them.
        ids: of the images in it.
    """

    def __init__(self, database: Database, ids: Sequence[int]) -> None:
        self._database, self._ids = database, ids

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, image: int) -> Known: ...

    @overload
    def __getitem__(self, image: slice) -> StoredMetadata: ...

    def __getitem__(self, image: int | slice) -> Known | StoredMetadata:
        """What is known of one image, or of some, which is not fetched then."""
        if isinstance(image, slice):
            return StoredMetadata(self._database, self._ids[image])
        statement = "SELECT name, value FROM metadata WHERE id = ? ORDER BY name"
        return dict(self._database.rows(statement, (self._ids[image],)))
