"""Which shortlist TEST.DSR.SHORTLIST asks for, once it is known how many images there are."""

from __future__ import annotations

from typing import Any

import torch

from ..matching.columns import ColumnBlocks, Columns
from ..matching.search_cost import Work, all_pairs_are_faster
from ..runtime.collectives import gather_objects


def chosen_shortlist(
    settings: Any, queries: int, galleries: int, images: Columns, device: torch.device
) -> str:
    """What is computed, the same on all processes: "coarse", "global" or "none".

    It is "none", too, where TOPK is 0 or not below the number of gallery images.

    Args:
        settings: the config node TEST.DSR.
        queries, galleries: of all processes.
        images: columns of this process's images.
        device: where they are matched.
    """
    shortlist: str = settings.SHORTLIST
    if not 0 < settings.TOPK < galleries:
        return "none"
    if shortlist != "auto":
        return shortlist
    if settings.CODES == "lasso":
        # Every pair is solved for by itself: no block of them is cheaper.
        return "coarse"
    blocks = ColumnBlocks(images, "these")
    # The main process may have no image, but all must choose alike.
    channels, columns, on_gpu = (
        max(parts)
        for parts in zip(
            *gather_objects((blocks.channels or 0, blocks.widest, device.type != "cpu"))
        )
    )
    work = Work(
        queries, galleries, settings.TOPK, channels, columns, columns, settings.COARSE.DIMENSIONS
    )
    return "none" if all_pairs_are_faster(work, on_cpu=not on_gpu) else "coarse"
