"""Freed memory stays with the process: on a CPU, page faults slow the network down.

Each layer's output is tens of megabytes. glibc maps such a block anew and unmaps it when it is
freed, so that the kernel clears every page of every layer of every batch.
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
    """Tell glibc to serve large blocks from its heap and to keep what is freed there.

    The process then holds the most memory that it has needed. Processes forked later inherit it.

    Returns:
        Whether the C library understood; another one (macOS, musl, Windows) is left as it is.
    """
    mallopt = _of_the_c_library("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))


def release_freed_memory() -> None:
    """Give what is free now back to the system, between two kinds of work.

    What the network has used is cut into pieces that do not fit what the matching needs.
    """
    trim = _of_the_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _of_the_c_library(name: str) -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
