"""Which images an index holds at the commit that is read, and at which places.

Shapes: G images of the index, B of some of them, N_b columns of an image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .database import Database
from .errors import damaged


class ListedImages:
    """The images of an index in the order of their numbers.

    Args:
        database: of the index.

    Attributes:
        ids: (G,) a number of each image, ascending, that no other image of the index ever has. An
            image that is extracted anew gets another one.
        names: of the images; another list after each `read`.
        counts: N_b of the images.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forget()
        self.read()

    def _forget(self) -> None:
        self.ids = np.empty(0, dtype=np.int64)
        self.names: list[str] = []
        self.counts: list[int] = []

    def read(self) -> None:
        """Go over to another commit, of which as a rule only the newest images are unknown.

        Raises:
            ValueError: what is known of an image is damaged.
        """
        ((total,),) = self._database.rows("SELECT COUNT(*) FROM images")
        new = self._read_after(int(self.ids[-1]) if len(self.ids) else 0)
        # No image has the number of one that is gone, so that only less can be left of the others.
        if len(self.ids) + len(new) != total:
            self._forget()
            new = self._read_after(0)
        ids = np.array([row[0] for row in new], dtype=np.int64)
        self.ids = np.concatenate([self.ids, ids])
        self.names = [*self.names, *(row[1] for row in new)]
        self.counts += [row[2] for row in new]

    def _read_after(self, identifier: int) -> list[tuple[int, str, int]]:
        statement = "SELECT id, name, count FROM images WHERE id > ? ORDER BY id"
        found = []
        for i, name, count in self._database.rows(statement, (identifier,)):
            if not isinstance(name, str) or not isinstance(count, int) or count < 0:
                raise damaged(self._database.path, f"what is known of image {i}")
            found.append((i, name, count))
        return found

    def rows_of(self, names: Sequence[str]) -> Tensor:
        """Places (B,) of the images of these names.

        Raises:
            ValueError: the index has no such image.
        """
        places = {name: place for place, name in enumerate(self.names)}
        for name in names:
            if name not in places:
                raise ValueError(f'the index "{self._database.path}" has no image "{name}".')
        return torch.tensor([places[name] for name in names], dtype=torch.long)

    def place_of(self, identifier: int) -> int | None:
        """The place of the image of this number; None where the index does not hold it."""
        place = int(np.searchsorted(self.ids, identifier))
        return place if self.ids[place : place + 1].tolist() == [identifier] else None
