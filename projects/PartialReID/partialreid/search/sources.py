"""Which pictures are meant: files, folders, tables, or pictures that a program already holds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from ..images.lists import list_images
from ..images.pictures import Picture, is_picture, no_picture, picture_name
from ..images.reading import ImageError, Unreadable, refuse_unreadable, unreadable
from ..index.table import read_table
from .gallery import Metadata


class NoPictures(ValueError):
    """A folder or a table in which there is no picture."""


class Pictures(NamedTuple):
    """Pictures, and what is known of each.

    Attributes:
        pictures: files or pictures.
        metadata: of each, plain values by their names.
    """

    pictures: list[Picture]
    metadata: list[Metadata]


def pictures_of(source: Picture | Iterable[Picture]) -> Pictures:
    """The pictures that a source stands for.

    Args:
        source: a picture; a folder, with all its images and those of the folders below it; a table
            (.csv) with a column `path`, relative to the table, whose other columns are metadata; or
            a list of pictures.

    Raises:
        OSError: there is no such file or folder.
        TypeError: it is none of these.
        ValueError: the folder, the table or the list is empty, or the table has no column `path`.
    """
    if not isinstance(source, (str, os.PathLike)):
        pictures = listed(source)
        return Pictures(pictures, [{} for _ in pictures])
    path = os.path.expanduser(os.fspath(source))
    if os.path.isdir(path):
        # Each is read before the work: one of a kind that is not read is as any that is broken.
        found = list_images(path, with_unread=True)
        if not found:
            raise NoPictures(f'the folder "{path}" holds no images: name another.')
        return Pictures(list(found), [{} for _ in found])
    if not os.path.isfile(path):
        raise FileNotFoundError(f'"{path}" is no file and no folder: correct the name.')
    if path.lower().endswith(".csv"):
        return _table(path)
    return Pictures([path], [{}])


def listed(pictures: Picture | Iterable[Picture]) -> list[Picture]:
    """A picture, or several, as a list; of a path that begins with it, "~" is the user's home.

    Raises:
        TypeError: something in it is no picture.
        ValueError: there is none.
    """
    if is_picture(pictures):
        found: list[Picture] = [pictures]
    elif isinstance(pictures, Iterable):
        found = list(pictures)
    else:
        raise no_picture(pictures)
    if not found:
        raise ValueError("there is no picture: the list is empty.")
    for picture in found:
        if not is_picture(picture):
            raise no_picture(picture)
    return [os.path.expanduser(name) if (name := picture_name(one)) else one for one in found]


def readable(
    found: Pictures, skip: bool, what: str = "pictures"
) -> tuple[Pictures, list[Unreadable]]:
    """The pictures that can be read, each of which is decoded once to find out, and the others.

    Args:
        found: pictures.
        skip: whether those that cannot be read are left out.
        what: what they are called.

    Raises:
        ImageError: some cannot be read, and are not to be left out; or none can.
    """
    files = [name for picture in found.pictures if (name := picture_name(picture))]
    broken = unreadable(files)
    if not skip:
        refuse_unreadable(broken, len(found.pictures), what)
    names = {one.path for one in broken}
    kept = [
        (picture, known)
        for picture, known in zip(found.pictures, found.metadata, strict=True)
        if picture_name(picture) not in names
    ]
    if not kept:
        raise ImageError(f"none of the {what} can be read. The first: {broken[0].reason}")
    return Pictures([picture for picture, _ in kept], [known for _, known in kept]), broken


def _table(path: str) -> Pictures:
    known = read_table(path)
    if not known:
        raise NoPictures(f'the table "{path}" has no rows.')
    folder = os.path.dirname(path)
    return Pictures([os.path.join(folder, name) for name in known], list(known.values()))
