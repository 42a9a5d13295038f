"""A gallery on disk as a search takes it; see the room `index`.

Shapes: C channels, M columns of an image.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..images.pictures import Picture
from ..index.gallery import Index
from ..index.selection import Where
from ..index.stored_gallery import Rows
from .gallery import Metadata
from .stamped import lost_file

CHANGED = "has changed since it was indexed"
ROOT = "root"  # what an index knows of itself: the folder that the names of its pictures start from


class IndexedGallery:
    """The pictures of an index, or those of them that conditions select.

    Args:
        index: open.
        rows: places in the index of those that may be found; None: all.

    Attributes:
        index, rows: as given.
        paths: of all pictures of the index.
        metadata: of all, by place.
    """

    def __init__(self, index: Index, rows: Rows | None = None) -> None:
        self.index, self.rows = index, rows
        root = str(index.about.get(ROOT, ""))
        self.paths = [os.path.join(root, name) for name in index.names]
        self.metadata: Sequence[Metadata] = index.metadata

    def __len__(self) -> int:
        return len(self.index) if self.rows is None else len(self.rows)

    @property
    def pictures(self) -> Sequence[Picture]:
        """What shows the pixels of each picture of the index."""
        return self.paths

    def columns(self, place: int) -> Tensor:
        """The columns (C, M) of one picture."""
        found: Any = self.index.images([place]).columns[0]
        return found

    def lost(self, place: int) -> str:
        """Why the picture of an image cannot be shown any more, in a word; "" if it can."""
        return lost_file(self.paths[place], self.index.stamp(place), CHANGED)

    def where(self, conditions: Where) -> IndexedGallery:
        """The pictures for which all conditions hold, such as ["camera=3", "time>=2024-05-01"].

        Of a gallery that conditions have selected it is a further selection.

        Raises:
            ValueError: a condition cannot be read, or no picture has such a name.
        """
        rows = self.index.select(conditions)
        if self.rows is not None:
            rows = rows[torch.isin(rows, torch.as_tensor(self.rows))]
        return IndexedGallery(self.index, rows)

    def close(self) -> None:
        """Let go of the index; it cannot be searched any more."""
        self.index.close()

    def __enter__(self) -> IndexedGallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
