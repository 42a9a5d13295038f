"""An index: the gallery of a model on disk, made, opened, filled and emptied."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
import torch

from . import writing
from .changes import Changes, changes
from .coarse_stage import CoarseSettings, refit_if_due
from .database import Database
from .new_database import create_database
from .record import Record
from .selection import Value
from .stamps import Stamp
from .stored_gallery import StoredGallery
from .tables import SUMMED
from .upgrade import upgrade

# Of the free memory of the machine, for what is kept of all images.
SHARE_OF_MACHINE = 0.25


class Index(StoredGallery):
    """A gallery on disk. Made by `Index.create`, opened by `Index.open`.

    Attributes:
        path: its folder.
        names: of its images.
        device: where fetched images are, and where coarse codes are computed and compared.
    """

    @staticmethod
    def create(
        path: str,
        model: str,
        about: Mapping[str, Any] | None = None,
        coarse: CoarseSettings | None = None,
    ) -> None:
        """Make an index without images.

        Args:
            path: of its folder, which is not there yet, or empty.
            model: fingerprint of the model whose images it will hold.
            about: what else is to be known of it, as JSON holds it.
            coarse: how roughly its images are compared; None: as TEST.DSR.COARSE has it by
                default.

        Raises:
            ValueError: there is something at `path`, or no folder to make it in.
            OSError: it cannot be written.
        """
        values = {"model": model, "about": json.dumps(dict(about or {}))}
        settings = json.dumps((coarse or CoarseSettings())._asdict())
        create_database(path, {**values, "coarse": settings})

    @classmethod
    def open(
        cls,
        path: str,
        model: str | None = None,
        *,
        write: bool = False,
        device: torch.device | str = "cpu",
        memory_bytes: float | None = None,
        probes: int | None = None,
    ) -> Index:
        """Open an index at its last commit.

        Args:
            path: of its folder.
            model: fingerprint of the model that it must have been made by; None: of any.
            write: whether this process is to be the one that writes.
            device: where fetched images are to be.
            memory_bytes: bound on what is kept of all images: their coarse codes, and their global
                features where those are searched. None: a quarter of the free memory. Columns are
                never kept.
            probes: inverted lists that a query looks into, out of as many as the root of the number
                of images; see docs/scale.md. The first search makes them. None: it looks at all
                images, as it does in any case where there are few, of a selection, on a GPU, and
                where the memory does not hold the codes and the lists.

        Raises:
            ValueError: there is no index at `path`, it is damaged, of a newer version or made by
                another model, or another process writes to it; or `probes` is below 1.
        """
        if probes is not None and probes < 1:
            raise ValueError(f"probes is {probes}: a query looks into one list at least.")
        database = Database(path, write)
        try:
            made_by = database.about("model")
            if model is not None and made_by != model:
                raise ValueError(
                    f'the index "{path}" was made by another model ({made_by}, this one is '
                    f"{model}): their features cannot be compared. Make an index of its own."
                )
            if write:
                upgrade(database)  # after the refusal, which is to change nothing
            if memory_bytes is None:
                memory_bytes = SHARE_OF_MACHINE * psutil.virtual_memory().available
            return cls(database, torch.device(device), memory_bytes, probes)
        except BaseException:
            database.close()
            raise

    @property
    def summed(self) -> bool:
        """Whether there are checksums of names, stamps, metadata and settings, too: not in what an
        earlier version wrote, until it is opened for writing."""
        return self._database.format >= SUMMED

    def changes(self, names: Sequence[str], root: str) -> Changes:
        """Compare the files of the gallery with the index: see `changes.changes`.

        Args:
            names: of all files, below `root`, with "/" between folders.
            root: folder of the gallery.
        """
        return changes(self._database, names, root)

    def put(self, records: Sequence[Record]) -> None:
        """Add images, in place of those of the same names, in one commit.

        Raises:
            ValueError: the index is open for reading; an image holds an infinity or NaN, or does
                not fit those before it.
            OSError: there is no room.
        """
        writing.put(self._database, records, self.device)
        # A commit of its own: what was put in is safe while all are coded anew.
        refit_if_due(self._database, self.device)
        self._read()

    def remove(self, names: Sequence[str]) -> None:
        """Remove images in one commit.

        Raises:
            ValueError: the index has no such image, or is open for reading.
        """
        writing.remove(self._database, names)
        self._read()

    def restamp(self, stamps: Mapping[str, Stamp]) -> None:
        """Note in one commit that files were touched but not changed: `Changes.touched`.

        Raises:
            ValueError: as `remove`.
        """
        writing.restamp(self._database, stamps)

    def set_metadata(self, metadata: Mapping[str, Mapping[str, Value]]) -> None:
        """Replace what is known of some images, by their names, in one commit.

        Raises:
            ValueError: as `remove`; or a value is neither text nor a number.
        """
        writing.set_metadata(self._database, metadata)

    def tell(self, about: Mapping[str, Any]) -> None:
        """Write into `about` what else is to be known of the index, in one commit.

        Args:
            about: values by their names, as JSON holds them; others stay.

        Raises:
            ValueError: the index is open for reading.
        """
        writing.tell(self._database, about)
        self._read()

    def require_room(self, images: int) -> None:
        """Raise OSError where the disk has no room for so many images more, by their mean size."""
        if len(self):
            mean = self._database.used_bytes() / len(self)
            writing.require_room(self._database, mean * images)
