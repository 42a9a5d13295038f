"""Memory that the network frees stays with the process, and goes back when it is asked for.

glibc gives each block of tens of megabytes, such as the output of a layer, back to the system when
it is freed. The next layer's is then mapped anew, and the system clears all of its pages: on a CPU
that takes a good part of the network's time. Kept blocks are used again at once.

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

    Free memory lies in pieces between what is in use, and the next kind of work asks for blocks of
    other sizes, which fit into none of them.
    """
    trim = _of_the_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _of_the_c_library(name: str) -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
