"""Two engines that hold the same of each image: SQLite, as `partialreid.index` has it, and Lance.

Both write checksums or none as they are, codes in the same space, and one commit for each call.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from partialreid.index.blocks import read_codes
from partialreid.index.coarse_stage import CoarseSettings, space_of
from partialreid.index.gallery import Index
from partialreid.index.record import Record
from partialreid.matching.coarse import CoarseIndex, CoarseSpace


class Engine(Protocol):
    """What is asked of an engine."""

    def open(self) -> None:
        """Open what is there, for writing."""

    def add(self, records: Sequence[Record]) -> None:
        """Add images in one commit."""

    def codes(self) -> Tensor:
        """Levels (G, L) of all images."""

    def columns(self, rows: Sequence[int]) -> Tensor:
        """Columns (B, C, N) of some images in float16."""

    def select(self) -> int:
        """How many images are of camera 3."""

    def remove(self, names: Sequence[str]) -> None:
        """Remove images in one commit."""

    def close(self) -> None:
        """Let go of the files."""


class Sqlite:
    """`partialreid.index`."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "crops.index")

    def create(self) -> None:
        Index.create(self.path, "made up")

    def open(self) -> None:
        self.index = Index.open(self.path, write=True)

    def add(self, records: Sequence[Record]) -> None:
        self.index.put(records)

    def codes(self) -> Tensor:
        return read_codes(self.index._database, torch.device("cpu"), 0, 2**62)[0]

    def columns(self, rows: Sequence[int]) -> Tensor:
        columns = self.index.images(rows).columns
        return torch.stack([columns[place] for place in range(len(rows))])

    def select(self) -> int:
        return len(self.index.select({"camera": 3}))

    def remove(self, names: Sequence[str]) -> None:
        self.index.remove(names)

    def close(self) -> None:
        self.index.close()


class Lance:
    """A table of LanceDB (`pip install lancedb pylance`), with columns as lists of fixed size."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "lance")
        self.space: CoarseSpace | None = None

    def create(self) -> None:
        import lancedb

        lancedb.connect(self.path)

    def open(self) -> None:
        import lancedb

        database = lancedb.connect(self.path)
        self.table: Any = None
        if "images" in database.list_tables().tables:
            self.table = database.open_table("images")
        self._database = database

    def add(self, records: Sequence[Record]) -> None:
        import pyarrow as pa

        columns = [record.columns for record in records]
        if self.space is None:
            self.space = space_of(columns, CoarseSettings())
        index = CoarseIndex(self.space, columns)
        parts = {
            "feature": torch.stack([record.feature for record in records]),
            "weights": torch.stack([record.weights for record in records]),
            "levels": index.levels,
            "columns": torch.stack(columns),
        }
        arrays = {
            "name": pa.array([record.name for record in records]),
            "camera": pa.array([(record.metadata or {})["camera"] for record in records]),
            "scale": pa.array(index.scale.numpy()),
        }
        for name, part in parts.items():
            flat = pa.array(part.numpy().reshape(-1))
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, part[0].numel())
        table = pa.table(arrays)
        if self.table is None:
            self.table = self._database.create_table("images", table)
        else:
            self.table.add(table)

    def codes(self) -> Tensor:
        found = self.table.to_lance().to_table(columns=["scale", "levels"])["levels"]
        flat = found.combine_chunks().flatten().to_numpy()
        return torch.from_numpy(np.array(flat)).view(len(found), -1)

    def columns(self, rows: Sequence[int]) -> Tensor:
        found = self.table.to_lance().take(list(rows), columns=["columns"])["columns"]
        flat = found.combine_chunks().flatten().to_numpy()
        return torch.from_numpy(np.array(flat)).view(len(rows), -1)

    def select(self) -> int:
        return int(self.table.count_rows("camera = 3"))

    def remove(self, names: Sequence[str]) -> None:
        quoted = ", ".join(f"'{name}'" for name in names)
        self.table.delete(f"name IN ({quoted})")

    def compact(self) -> None:
        """Take away what was removed: until then it lies in older versions of the table."""
        self.table.optimize(cleanup_older_than=datetime.timedelta(0))

    def close(self) -> None:
        self.table = None
