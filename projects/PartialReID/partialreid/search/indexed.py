"""A gallery on disk as a search takes it; see the room `index`.

Shapes: C channels, M columns of an image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..images.pictures import Picture
from ..index.gallery import Index
from ..index.selection import Where
from .gallery import Metadata
from .indexed_pictures import WHOLE, IndexedPictures


class IndexedGallery:
    """The pictures of an index, or those of them that conditions select.

    It follows the index: after `index.refresh()` it has the pictures of the new commit.

    Args:
        index: open.
        selections: conditions on the pictures that may be found; all of them must hold.

    Attributes:
        index: as given.
    """

    def __init__(self, index: Index, selections: Sequence[Where] = ()) -> None:
        self.index, self._selections = index, tuple(selections)
        self._read()

    def _read(self) -> None:
        self._now = IndexedPictures(self.index)
        self._rows: Tensor | None = None
        for conditions in self._selections:
            rows = self.index.select(conditions)
            self._rows = rows if self._rows is None else rows[torch.isin(rows, self._rows)]

    @property
    def now(self) -> IndexedPictures:
        """All pictures of the index at the commit that is read."""
        if not self._now.current:
            self._read()
        return self._now

    @property
    def rows(self) -> Tensor | None:
        """Places in the index of the pictures that may be found; None: all."""
        if not self._now.current:
            self._read()
        return self._rows

    @property
    def paths(self) -> Sequence[str]:
        """Those of all pictures of the index."""
        return self.now.paths

    @property
    def metadata(self) -> Sequence[Metadata]:
        """What is known of all, by place."""
        return self.now.metadata

    @property
    def pictures(self) -> Sequence[Picture]:
        """What shows the pixels of each picture of the index."""
        return self.now.pictures

    @property
    def whole(self) -> float:
        """Height by width of whole people as its first pictures said; 0 where they did not."""
        return float(self.index.about.get(WHOLE, 0.0))

    def columns(self, place: int) -> Tensor:
        """The columns (C, M) of one picture."""
        return self.now.columns(place)

    def lost(self, place: int) -> str:
        """Why the picture of an image cannot be shown any more, in a word; "" if it can."""
        return self.now.lost(place)

    def __len__(self) -> int:
        return len(self.index) if self.rows is None else len(self.rows)

    def where(self, conditions: Where) -> IndexedGallery:
        """The pictures for which all conditions hold, such as ["camera=3", "time>=2024-05-01"].

        Of a gallery that conditions have selected it is a further selection.

        Raises:
            ValueError: a condition cannot be read, or no picture has such a name.
        """
        return IndexedGallery(self.index, [*self._selections, conditions])

    def close(self) -> None:
        """Let go of the index; it cannot be searched any more."""
        self.index.close()

    def __enter__(self) -> IndexedGallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
