"""Bring the index of a folder up to date: extract what is new, remove what is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence

from ..images.pictures import picture_name
from ..images.reading import Unreadable, refuse_unreadable, unreadable
from ..index.changes import Changes
from ..index.database import is_index
from ..index.filling import fill
from ..index.gallery import Index
from ..index.new_database import require_place
from ..index.record import require_name
from ..matching.extracted import Images
from .extraction import Extractor
from .index_scale import settled_whole
from .indexed_pictures import ROOT
from .sources import NoPictures, pictures_of, readable

logger = logging.getLogger(__name__)


def update_index(
    source: str | os.PathLike[str],
    into: str | os.PathLike[str],
    model: str,
    extractor: Extractor,
    skip_unreadable: bool,
) -> list[Unreadable]:
    """Make the index of a folder or a table, or bring it up to date.

    Args:
        source: a folder, or a table of pictures.
        into: folder of the index.
        model: fingerprint of the model.
        extractor: the model's network.
        skip_unreadable: leave out what cannot be read; what an index holds of it stays.

    Returns:
        What was left out.

    Raises:
        OSError: a picture cannot be read, or there is no room.
        TypeError: the source is no path.
        ValueError: there is no picture, or one alone; or the index is damaged, of another model,
            of another folder or another table, or written to by another process.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"an index is of a folder or a table, not of a {type(source).__name__}: `gallery` "
            "takes pictures of all kinds."
        )
    path, into = os.path.abspath(os.path.expanduser(source)), os.path.expanduser(os.fspath(into))
    try:
        found = pictures_of(path)
    except NoPictures as error:
        if not is_index(into):
            raise
        raise ValueError(
            f'there is no picture in "{path}", as where a disk is not mounted: all that the index '
            f'"{into}" holds would be removed. If they are gone for good, remove its folder.'
        ) from error
    if found.pictures == [path]:
        # Its folder would be that of the index, in which a second picture replaced the first.
        raise ValueError(
            f'"{path}" is one picture, and an index is of a folder or a table (.csv): put it into '
            "a folder of its own."
        )
    root = path if os.path.isdir(path) else os.path.dirname(path)
    files = [picture_name(picture) for picture in found.pictures]
    names = [os.path.relpath(file, root).replace(os.sep, "/") for file in files]
    for name in names:
        require_name(name)  # before all are decoded
    # A table says all that is known of its pictures, a folder nothing.
    known = None if os.path.isdir(path) else dict(zip(names, found.metadata, strict=True))
    broken, new = list[Unreadable](), not is_index(into)
    if new:
        require_place(into)
        _, broken = readable(found, skip_unreadable)
        Index.create(into, model, {ROOT: root})
    else:
        # Before it is opened for writing, which makes one of an earlier version one of this.
        with Index.open(into, model) as index:
            _require_root(index, root)
    skipped: list[Unreadable] = []
    changed: Changes | None = None
    with (
        Index.open(into, model, write=True, device=extractor.device) as index,
        _kept_once_filled(index, new),
    ):
        if not new:
            changed = index.changes(names, root)
            _require_some_left(index, changed.gone, root, path)
            broken = _broken(changed, root)
            if not skip_unreadable:
                refuse_unreadable(broken, len(files), "pictures")
            _say_what_goes(changed.gone, root, path)
        skipped += broken
        left_out = {one.path for one in broken}
        unread = {name for name in names if os.path.join(root, name) in left_out}
        shown = [file for file in files if file not in left_out]
        extractor = extractor.of_whole(settled_whole(index, shown, changed, extractor))

        def extract(paths: list[str]) -> Iterator[tuple[list[int], Images]]:
            for places, part in extractor.chunks(paths, skipped if skip_unreadable else None):
                yield places, part.images()

        fill(index, names, root, extract, known, unread)
    return skipped


def _require_root(index: Index, root: str) -> None:
    before = str(index.about.get(ROOT, root))
    if before != root:
        raise ValueError(
            f'the index "{index.path}" is of the pictures in "{before}", not of those in "{root}": '
            "name another index."
        )


def _require_some_left(index: Index, gone: Sequence[str], root: str, path: str) -> None:
    """Refuse a table that names no picture of an index whose files are there, as another does."""
    there = _still_there(gone, root)
    if there and len(gone) == len(index):
        raise ValueError(
            f'"{path}" names none of the {len(gone)} pictures of the index "{index.path}", and '
            f'all would be removed, though files of theirs are there, such as "{there[0]}": name '
            "another index or, if they are to go, remove its folder."
        )


def _say_what_goes(gone: Sequence[str], root: str, path: str) -> None:
    """Log how many pictures leave an index, and why."""
    there = len(_still_there(gone, root))
    reasons = [
        f"{count} {why}"
        for count, why in (
            (len(gone) - there, "whose files are gone"),
            (there, f'that "{path}" does not name'),
        )
        if count
    ]
    if reasons:
        logger.info(f"pictures removed from the index: {', '.join(reasons)}")


def _still_there(gone: Sequence[str], root: str) -> list[str]:
    """The files of pictures that leave an index, but for those that are gone themselves."""
    return [file for name in gone if os.path.isfile(file := os.path.join(root, name))]


def _broken(changed: Changes, root: str) -> list[Unreadable]:
    """New and changed files that cannot be read."""
    wanted = [os.path.join(root, name) for name in {**changed.new, **changed.changed}]
    # Some are not even there, or may not be opened.
    shut = [
        Unreadable(os.path.join(root, name), f'cannot read "{os.path.join(root, name)}": {why}')
        for name, why in changed.unreadable.items()
    ]
    return shut + unreadable(wanted)


@contextlib.contextmanager
def _kept_once_filled(index: Index, new: bool) -> Iterator[None]:
    """Where the body fails, take away a new index into which nothing has come.

    The index is still open: nobody else writes to it meanwhile.
    """
    try:
        yield
    except BaseException:
        if new:
            with contextlib.suppress(Exception):
                index.refresh()  # a commit may have come through before the error
                if not len(index):
                    shutil.rmtree(index.path)
        raise
