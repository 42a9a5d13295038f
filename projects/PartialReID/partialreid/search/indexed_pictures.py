"""The pictures of an index as they are at one commit, which an answer keeps to.

An index that is refreshed may have other pictures at the same places. What an answer shows and
explains goes by the numbers of its pictures, which no other picture of the index ever has.

Shapes: C channels, M columns of an image.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..images.pictures import Picture
from ..index.gallery import Index
from .gallery import Metadata
from .stamped import lost_file

CHANGED = "has changed since it was indexed"
REPLACED = "is no longer in the index, or was indexed anew"
# What an index knows of itself: the folder that the names of its pictures start from, and how high
# by their width whole people are, for a model whose INPUT.KEEP_RATIO asks the gallery for it.
ROOT, WHOLE = "root", "keep_ratio_whole"


class IndexedPictures:
    """All pictures that an index holds now.

    Args:
        index: open.

    Attributes:
        paths: of all.
        metadata: of all, by place, until the index is refreshed.
    """

    def __init__(self, index: Index) -> None:
        root = str(index.about.get(ROOT, ""))
        self.paths = [os.path.join(root, name) for name in index.names]
        self.metadata: Sequence[Metadata] = index.metadata
        self._index, self._names, self._ids = index, index.names, index.ids

    @property
    def current(self) -> bool:
        """Whether the index has not been refreshed since."""
        return self._names is self._index.names

    @property
    def pictures(self) -> Sequence[Picture]:
        """What shows the pixels of each picture."""
        return self.paths

    def columns(self, place: int) -> Tensor:
        """The columns (C, M) of one picture that is not lost."""
        now = self._now(place)
        assert now is not None, "it is lost"
        found: Any = self._index.images([now]).columns[0]
        return found

    def lost(self, place: int) -> str:
        """Why the picture of an image cannot be shown any more, in a word; "" if it can."""
        now = self._now(place)
        if now is None:
            return REPLACED
        return lost_file(self.paths[place], self._index.stamp(now), CHANGED)

    def _now(self, place: int) -> int | None:
        """Where a picture is in the index now; None where it is no longer."""
        return place if self.current else self._index.place_of(int(self._ids[place]))
