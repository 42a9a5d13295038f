"""Memory that the network frees is used again by the next layer, and is given back on request.

glibc, the C library of most Linux systems, asks the system for each block of tens of megabytes,
such as the output of a layer, and gives it back as soon as it is freed. The system fills every
block with zeros before it hands it out. On a CPU this takes a good part of the network's time.
Here glibc is told to keep freed blocks, so that the next layer gets them at once.

Other C libraries (macOS, Windows, musl) are left as they are.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# Parameters of mallopt, from glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks of any size for the next ones.

    The process then never shrinks below the most memory that it has needed, until
    `release_freed_memory` is called. Processes forked later do the same.

    Returns:
        Whether the C library understood; another one (macOS, musl, Windows) is left as it is.
    """
    mallopt = _of_the_c_library("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))


def release_freed_memory() -> None:
    """Give what is free now back to the system, between two kinds of work.

    Freed blocks have the sizes that the work so far has needed. The next kind of work needs others,
    for which it would take new memory beside the old.
    """
    trim = _of_the_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _of_the_c_library(name: str) -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
