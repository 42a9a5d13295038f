"""Which pictures are meant: files, folders, tables, or pictures that a program already holds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from ..images.lists import list_images
from ..images.pictures import Picture
from ..index.table import read_table
from .gallery import Metadata


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
        ValueError: the folder or the table is empty, or the table has no column `path`.
    """
    if isinstance(source, (Image.Image, np.ndarray, Tensor)):
        return Pictures([source], [{}])
    if isinstance(source, (str, os.PathLike)):
        path = os.path.expanduser(os.fspath(source))
        if os.path.isdir(path):
            found = list_images(path)
            if not found:
                raise ValueError(f'the folder "{path}" holds no images: name another.')
            return Pictures(list(found), [{} for _ in found])
        if not os.path.isfile(path):
            raise FileNotFoundError(f'"{path}" is no file and no folder: correct the name.')
        if path.lower().endswith(".csv"):
            return _table(path)
        return Pictures([path], [{}])
    pictures = list(source)
    return Pictures(pictures, [{} for _ in pictures])


def _table(path: str) -> Pictures:
    known = read_table(path)
    if not known:
        raise ValueError(f'the table "{path}" has no rows.')
    folder = os.path.dirname(path)
    return Pictures([os.path.join(folder, name) for name in known], list(known.values()))
