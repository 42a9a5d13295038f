"""How a file is known again: by its size, the time of its last change, and its content."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import NamedTuple

from ..images.lists import is_pipe

# Bytes of the hash. It tells two versions of a file apart, and guards nothing.
LENGTH = 16


class Stamp(NamedTuple):
    """What a file was like when it was read.

    Attributes:
        size: in bytes.
        modified: time of its last change, in nanoseconds since 1970.
        content: hash of its bytes, in hexadecimal digits.
    """

    size: int
    modified: int
    content: str


def stamp_of(path: str) -> Stamp:
    """The stamp of a file, which is read for it.

    Raises:
        OSError: it cannot be read, or is a pipe.
    """
    if is_pipe(path):
        raise OSError(errno.EINVAL, "it is a pipe", path)
    with open(path, "rb") as file:
        # Before the content: what is written while it is read makes the file newer than its stamp.
        status = os.fstat(file.fileno())
        digest = hashlib.blake2b(digest_size=LENGTH)
        while block := file.read(2**20):
            digest.update(block)
    return Stamp(status.st_size, status.st_mtime_ns, digest.hexdigest())
