"""From the collected outputs of a network to the distances that the config node TEST.DSR asks for.

Shapes: Q queries, G galleries of all processes.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from ..matching.coarse_shortlist import build_coarse
from ..matching.column_store import ColumnStore
from ..matching.extracted import Images
from ..matching.sharding import Rough, sharded_distances
from ..runtime.collectives import gather_objects, group_device, rank
from ..runtime.memory_budget import MemoryBudget
from .chosen_shortlist import chosen_shortlist
from .collected_outputs import CollectedOutputs
from .matchers import LassoMatcher, RidgeMatcher

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """What was computed; distances on the main process alone.

    Attributes:
        near: (Q, G) global distances on the CPU.
        matched: likewise those by reconstruction; None where it is switched off.
        shortlist: which images were reconstructed, see `chosen_shortlist`.
    """

    near: Tensor
    matched: Tensor | None
    shortlist: str


def configured_distances(
    seen: CollectedOutputs, num_query: int, settings: Any, budget: MemoryBudget
) -> Found | None:
    """Global and reconstruction distances of all processes' queries to all their galleries.

    Args:
        seen: the images of this process; those of all are in the order of the processes.
        num_query: Q, how many of all images, the first ones, are queries.
        settings: the config node TEST.DSR.
        budget: of this process; its columns are a bound for other processes' queries.

    Returns:
        On the main process what was found, None elsewhere.

    Raises:
        ValueError: there is no query or no gallery image.
    """
    here = len(seen)
    counts = gather_objects(here)
    galleries = sum(counts) - num_query
    if num_query < 1 or galleries < 1:
        raise ValueError(
            f"{sum(counts)} images were processed, of which {num_query} are queries: there must be "
            "at least one query and one gallery image"
        )
    # The first images of all are the queries; each process holds a contiguous part.
    split = min(max(num_query - sum(counts[: rank()]), 0), here)
    features = seen.features()
    width = max(gather_objects(features.shape[-1]))
    # A process without images has no device of its own: any that can be sent from will do.
    device = features.device if here else group_device()
    features = F.normalize(features.reshape(here, width).to(device), dim=1)
    query, gallery = seen.images(features, 0, split), seen.images(features, split, here)
    if not settings.ENABLED:
        near = sharded_distances(query, gallery, None)
        return None if near is None else Found(*near, "none")
    shortlist = chosen_shortlist(settings, num_query, galleries, seen.store, device)
    top = "all" if shortlist == "none" else settings.TOPK
    logger.info(
        f"Reconstruction distance: {num_query} queries, {galleries} gallery images, "
        f"top {top}, shortlist {shortlist}; "
        f"{seen.store.bytes_in_memory / 1e9:.2f} GB of columns in memory, "
        f"{seen.store.bytes_in_file / 1e9:.2f} GB in a file"
    )
    with ColumnStore(budget.columns, seen.folder, device) as visitors:
        found = sharded_distances(
            query,
            gallery,
            configured_matcher(settings, int(budget.matching)),
            topk=0 if shortlist == "none" else settings.TOPK,
            fill=settings.FILL,
            rough=rough_of(gallery, settings) if shortlist == "coarse" else None,
            block_bytes=budget.matching,
            visitors=visitors,
        )
    return None if found is None else Found(*found, shortlist)


def configured_matcher(
    settings: Any, memory_bytes: int | None = None
) -> RidgeMatcher | LassoMatcher:
    """What matches images as the config node TEST.DSR asks for, within a working memory."""
    if settings.CODES == "lasso":
        return LassoMatcher(settings.LASSO_BETA, settings.LASSO_TOLERANCE, memory_bytes)
    return RidgeMatcher(settings.KAPPA, settings.SQUARED, memory_bytes)


def rough_of(gallery: Images, settings: Any) -> Rough | None:
    """The rough distance to a gallery that the config node TEST.DSR describes."""
    coarse = settings.COARSE
    squared = settings.CODES == "lasso" or settings.SQUARED
    return build_coarse(
        gallery, coarse.DIMENSIONS, coarse.KAPPA, squared=squared, sample=coarse.SAMPLE
    )
