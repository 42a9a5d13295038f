"""Freed memory stays with the process: on a CPU, page faults cost as much as the convolutions.

Each layer's output is tens of megabytes. glibc maps such a block anew and unmaps it when it is
freed, so that the kernel clears every page of every layer of every batch.
"""

from __future__ import annotations

import ctypes
import sys

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
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))
