"""A gallery on disk as a search reads it, at one commit.

Shapes: G images of the index, B of some of them, Q queries, K shortlisted galleries of a query,
C channels, N_b columns of an image, D global features.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..matching.extracted import Images
from .blocks import read_feature
from .database import Database
from .errors import damaged
from .image_rows import require_whole
from .integrity import problems
from .listed_images import ListedImages
from .record import feature_type
from .rough_search import RoughSearch
from .selection import Where, selected
from .stamps import Stamp
from .stored_columns import StoredColumns, StoredWeights
from .stored_metadata import StoredMetadata

Opened = TypeVar("Opened", bound="StoredGallery")
Rows: TypeAlias = "Sequence[int] | Tensor | np.ndarray"
"""Places of images in the order of the index, 0 to G - 1."""


class StoredGallery:
    """The images of an index.

    What it shows stays as it is while another process writes, until `refresh`. One thread at a
    time, and not across a fork.

    Args:
        database: of the index.
        device: where fetched images are to be.
        memory_bytes: bound on what is kept of all images.
        probes: inverted lists that a query looks into; None: it looks at all images.

    Attributes:
        path: folder of the index.
        device: where fetched images are, and where coarse codes are computed and compared.
    """

    def __init__(
        self,
        database: Database,
        device: torch.device,
        memory_bytes: float,
        probes: int | None = None,
    ) -> None:
        self.path, self.device = database.path, device
        self._database = database
        self._search = RoughSearch(database, device, memory_bytes, probes)
        self._listed = ListedImages(database)
        self._search.update(self._listed.ids)

    def _read(self) -> None:
        """Go over to another commit."""
        self._listed.read()
        self._search.update(self._listed.ids)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """Those of the images; another list after each commit that is read."""
        return self._listed.names

    @property
    def model(self) -> str:
        """Fingerprint of the model that made it."""
        return str(self._database.about("model"))

    @property
    def about(self) -> dict[str, Any]:
        """What was given when it was made."""
        found: dict[str, Any] = json.loads(self._database.about("about"))
        return found

    @property
    def commit(self) -> int:
        """How many commits there were, up to the one that is read."""
        return int(self._database.about("commit"))

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return self._database.disk_bytes()

    def check(self) -> list[str]:
        """Read all of it; what is wrong, a line each. Nothing: it is whole."""
        return problems(self._database)

    def refresh(self) -> None:
        """Go on at the last commit. What has not changed stays in memory."""
        self._database.refresh()
        self._read()

    def close(self) -> None:
        """Let go of the files."""
        self._database.close()

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def select(self, where: Where) -> Tensor:
        """Places (B,) of the images for which all conditions hold, ascending.

        Args:
            where: `{"camera": 3, "day": ["mon", "tue"]}` for equal values, or conditions as text,
                `["camera=3", "time>=2024-05-01"]`; see `selection`.

        Raises:
            ValueError: no image has anything of such a name, or a text is no condition.
        """
        ids = np.array(sorted(selected(self._database, where)), dtype=np.int64)
        return torch.from_numpy(np.searchsorted(self._listed.ids, ids))

    def rows_of(self, names: Sequence[str]) -> Tensor:
        """Places (B,) of the images of these names.

        Raises:
            ValueError: the index has no such image.
        """
        return self._listed.rows_of(names)

    @property
    def ids(self) -> np.ndarray:
        """(G,) a number of each image, ascending, that no other image of the index ever has.

        An image that is extracted anew gets another one.
        """
        return self._listed.ids.copy()

    def place_of(self, identifier: int) -> int | None:
        """The place of the image of this number; None where the index does not hold it."""
        return self._listed.place_of(identifier)

    @property
    def metadata(self) -> StoredMetadata:
        """What is known of each image, by its names; fetched when it is asked for."""
        return StoredMetadata(self._database, self._listed.ids.tolist())

    def stamp(self, place: int) -> Stamp:
        """What the file of an image was like when it was read.

        Raises:
            ValueError: it is no longer what was written.
        """
        ids = self._ids_of([place])
        require_whole(self._database, ids)
        statement = "SELECT size, modified, content FROM images WHERE id = ?"
        (found,) = self._database.rows(statement, ids)
        return Stamp(*found)

    def features(self, rows: Rows) -> Tensor:
        """Global features (B, D) of some images.

        Raises:
            ValueError: they are no longer what was written.
        """
        dtype = feature_type(self._database)
        found = torch.empty(len(rows), self._database.about("dimensions") or 0, dtype=dtype)
        for row, identifier in zip(found, self._ids_of(rows)):
            feature = read_feature(self._database, dtype, identifier)
            if len(feature) != len(row):
                raise damaged(self.path, f"the feature of image {identifier}")
            row.copy_(feature)
        return found.to(self.device)

    def images(self, rows: Rows) -> Images:
        """Some images, B of them, as the matching takes them.

        Features are read at once, columns and weights of an image whenever they are asked for.

        Raises:
            ValueError: what is read is no longer what was written.
        """
        ids, channels = self._ids_of(rows), self._database.about("channels")
        counts = [self._listed.counts[place] for place in _places(rows)]
        columns = StoredColumns(self._database, ids, counts, channels, self.device)
        return Images(self.features(rows), columns, StoredWeights(self._database, ids, self.device))

    def shortlist(
        self,
        query: Images,
        topk: int,
        *,
        rows: Rows | None = None,
        by: str = "coarse",
        squared: bool = False,
    ) -> Tensor:
        """The nearest images to each query by a cheap distance.

        Args:
            query: Q images on `device`.
            topk: K; fewer where there are fewer images.
            rows: places of the images that may be found; None: all.
            by: "coarse", the rough reconstruction distance, or "global".
            squared: whether the exact distance sums squared residuals.

        Returns:
            (Q, K) places on the CPU, nearest first; equal distances by place.

        Raises:
            ValueError: what is read is no longer what was written.
        """
        return self._search.shortlist(query, topk, _ascending(rows), by, squared)

    def rough_distances(
        self, query: Images, rows: Rows | None = None, squared: bool = False
    ) -> Tensor:
        """Rough reconstruction distances (Q, B) to some images, up to a constant for each query.

        Args:
            query: Q images on `device`.
            rows: ascending places; None: all.
            squared: whether the exact distance sums squared residuals.

        Raises:
            ValueError: what is read is no longer what was written.
        """
        return self._search.distances(query, _ascending(rows), "coarse", squared)

    def _ids_of(self, rows: Rows) -> list[int]:
        found: list[int] = self._listed.ids[_places(rows)].tolist()
        return found


def _places(rows: Rows) -> np.ndarray:
    return np.asarray(rows, dtype=np.int64).reshape(-1)


def _ascending(rows: Rows | None) -> np.ndarray | None:
    return None if rows is None else np.sort(_places(rows))
