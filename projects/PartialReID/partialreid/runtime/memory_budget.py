"""How much memory columns and matching may take: TEST.DSR.MEMORY_GB.

A budget moves no result but for rounding: columns beyond it lie in a file, blocks are
smaller, and what can be neither stored nor cut is refused.
"""

from __future__ import annotations

from typing import NamedTuple

import psutil
import torch

AUTO = "auto"
# Of the free memory of a GPU, when the first batch has been through the network.
SHARE_OF_GPU = 0.5
# Of the free memory of the machine, divided by the processes on it, for columns. A small share is
# enough: columns beyond it lie in a file, which the system keeps in free memory as long as there is
# some. There is an upper bound because a container may be allowed less than the machine has.
SHARE_OF_MACHINE, MOST_OF_MACHINE = 0.05, 4e9
# Working memory of the matching: at most these bytes, as more is no faster. Where there is enough,
# "auto" always gives exactly this much, so that the rounding of a result, which depends on the size
# of blocks, does not depend on what else runs on the machine.
SHARE_OF_MATCHING = 0.25
MATCHING_ON_CPU, MATCHING_ON_GPU = 250e6, 2e9
# Of the free memory of the machine, for arrays of all images by all images: there is no file for
# them, and nothing else of the evaluation is large by then.
SHARE_FOR_ALL_PAIRS = 0.5


class MemoryBudget(NamedTuple):
    """How many bytes may be taken for what.

    Attributes:
        columns: of columns that are kept in memory; the rest lies in a file.
        matching: of working memory of the matching.
    """

    columns: float
    matching: float


def memory_budget(
    memory_gb: str | float, device: torch.device | str, processes: int = 1
) -> MemoryBudget:
    """What TEST.DSR.MEMORY_GB allows each process.

    Args:
        memory_gb: 10^9 bytes for each process, or "auto".
        device: where columns are kept and matched. Each process is taken to have a GPU of its own.
        processes: on this machine, which share its memory.
    """
    device = torch.device(device)
    on_cpu = device.type == "cpu"
    most = MATCHING_ON_CPU if on_cpu else MATCHING_ON_GPU
    if memory_gb == AUTO and on_cpu:
        free = psutil.virtual_memory().available
        return MemoryBudget(min(SHARE_OF_MACHINE * free / processes, MOST_OF_MACHINE), most)
    if memory_gb == AUTO:
        whole = SHARE_OF_GPU * getattr(torch, device.type).mem_get_info(device)[0]
    else:
        whole = 1e9 * float(memory_gb)
    matching = min(SHARE_OF_MATCHING * whole, most)
    return MemoryBudget(whole - matching, matching)


def bytes_for_all_pairs(memory_gb: str | float) -> float:
    """What TEST.DSR.MEMORY_GB allows arrays of all images by all images, on the main process.

    They lie in the memory of the machine, wherever columns are kept, when those are gone.

    Args:
        memory_gb: 10^9 bytes, or "auto", which is half of what is free.
    """
    if memory_gb == AUTO:
        return SHARE_FOR_ALL_PAIRS * psutil.virtual_memory().available
    return 1e9 * float(memory_gb)
