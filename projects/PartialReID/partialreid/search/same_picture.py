"""Whether a gallery image is the query itself, which a search keeps and says."""

from __future__ import annotations

import contextlib
import os

from ..images.pictures import Picture, picture_name, rgb_of
from ..images.reading import ImageError

# One minus the cosine of two features of one picture: in batches of other sizes, and in bfloat16,
# they differ by less. Only pictures as near as that are read again.
NEAR = 0.05


def same_picture(query: Picture, other: Picture, distance: float) -> bool:
    """Whether two pictures are one file, or have the same pixels.

    Args:
        query, other: both.
        distance: the global distance between them.
    """
    if picture_name(query) and picture_name(other):
        with contextlib.suppress(OSError):
            if os.path.samefile(picture_name(query), picture_name(other)):
                return True
    if distance > NEAR:
        return False
    try:
        ours, theirs = rgb_of(query), rgb_of(other)
    except ImageError:  # the file is gone
        return False
    return ours.size == theirs.size and ours.tobytes() == theirs.tobytes()
