"""What is known of the images of an index, fetched image by image when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from .database import Database
from .errors import damaged
from .image_rows import METADATA, require_whole
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
        """What is known of one image, or of some, which is not fetched then.

        Raises:
            ValueError: it is no longer what was written.
        """
        if isinstance(image, slice):
            return StoredMetadata(self._database, self._ids[image])
        identifier = self._ids[image]
        require_whole(self._database, [identifier])
        found = dict(self._database.rows(METADATA, (identifier,)))
        for name, value in found.items():
            if not isinstance(name, str) or not isinstance(value, (str, int, float)):
                raise damaged(self._database.path, f"what is known of image {identifier}")
        return found
