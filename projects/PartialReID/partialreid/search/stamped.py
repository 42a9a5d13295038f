"""Pictures with what their files were like, so that none is shown that has become another one."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..images.pictures import Picture, picture_name, rgb_of
from ..index.stamps import Stamp, stamp_of

GONE, CHANGED = "is gone", "has changed since it was extracted"


class Stamped:
    """Pictures as they are now.

    Made before they are extracted: a file that is written meanwhile counts as changed.

    Args:
        pictures: files among them can be read.

    Attributes:
        pictures: the paths of files as given, and of all others an RGB copy of their own: a program
            may read its next picture into the same array.

    Raises:
        OSError: a file cannot be read.
        ValueError: a picture is none.
    """

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.pictures = [one if picture_name(one) else rgb_of(one) for one in pictures]
        names = map(picture_name, self.pictures)
        self._stamps = [stamp_of(name) if name else None for name in names]

    def lost(self, place: int) -> str:
        """Why a picture cannot be shown any more, in words; "" if it can."""
        stamp = self._stamps[place]
        return lost_file(picture_name(self.pictures[place]), stamp, CHANGED) if stamp else ""


def lost_file(path: str, known: Stamp, changed: str) -> str:
    """Why a file is not what it was; "" where it is. It is read only if it was touched.

    Args:
        path: of the file.
        known: what it was like.
        changed: the words for another content.
    """
    try:
        status = os.stat(path)
        if (status.st_size, status.st_mtime_ns) == (known.size, known.modified):
            return ""
        return "" if stamp_of(path).content == known.content else changed
    except OSError:
        return GONE
