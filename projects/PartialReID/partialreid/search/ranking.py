"""From the columns of queries and a gallery to ranked lists, by the distances of the evaluator.

Shapes: Q queries, G gallery images, K of them matched, k of them in a list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..evaluation.chosen_shortlist import chosen_shortlist
from ..evaluation.configured_distances import configured_matcher, rough_of
from ..index.shortlisted import shortlisted_distances
from ..matching.extracted import Images
from ..matching.sharding import sharded_distances
from ..matching.shortlists import nearest
from ..metrics.fusion import fuse
from ..metrics.report import Distance
from ..runtime.memory_budget import memory_budget
from .indexed import IndexedGallery
from .searchable import AnyGallery


class Ranked(NamedTuple):
    """The gallery images that were matched with Q queries, nearest first.

    Attributes:
        places: (Q, K) of the gallery images.
        distances: (Q, K) by the name of each distance.
    """

    places: Tensor
    distances: dict[Distance, Tensor]


def ranked(query: Images, gallery: AnyGallery, settings: Any, k: int) -> Ranked:
    """The images of a gallery by their distance from each query, the k nearest and more.

    Distances are those of an evaluation: TEST.DSR's kappa, codes and squares; where it has a
    shortlist, the images of the shortlist alone are reconstructed, and only they can be found.

    Args:
        query: Q images; features and columns of unit length.
        gallery: G images.
        settings: the config node TEST.DSR; its LAMBDA fuses, its DISTANCE ranks.
        k: how many images are wanted of a list, at least 1.

    Returns:
        Lists of all images, or of the shortlist where there is one.
    """
    g_count = len(gallery)
    shortlist = _shortlist(query, gallery, settings)
    listed = shortlist != "none"
    # A longer list than the shortlist of the config is matched as far as it is shown.
    topk = min(max(settings.TOPK, k), g_count) if listed else g_count
    budget = memory_budget(settings.MEMORY_GB, query.features.device)
    matcher = configured_matcher(settings, int(budget.matching))
    if isinstance(gallery, IndexedGallery):
        squared = settings.CODES == "lasso" or settings.SQUARED
        by = shortlist if listed else "global"
        rows, near, matched = shortlisted_distances(
            query, gallery.index, matcher, topk, rows=gallery.rows, by=by, squared=squared
        )
    else:
        coarse = shortlist == "coarse" and topk < g_count
        found = sharded_distances(
            query,
            gallery.images,
            matcher,
            topk=topk if listed else 0,
            fill=settings.FILL,
            rough=rough_of(gallery.images, settings) if coarse else None,
        )
        assert found is not None, "one process alone is the main one"
        near, every = found
        assert every is not None, "there is a matcher"
        matched = every
        rows = torch.arange(g_count).expand(len(near), -1)
    distances: dict[Distance, Tensor] = {
        "global": near,
        "reconstruction": matched,
        "fused": fuse(near, matched, float(settings.LAMBDA)),
    }
    order = nearest(distances[settings.DISTANCE], topk)
    return Ranked(
        rows.gather(1, order), {name: value.gather(1, order) for name, value in distances.items()}
    )


def _shortlist(query: Images, gallery: AnyGallery, settings: Any) -> str:
    """Which images are reconstructed, see `chosen_shortlist`.

    Of lists that the global distance ranks, a rough reconstruction distance would leave out their
    own first images: these have the shortlist of the nearest by the global distance.
    """
    if settings.DISTANCE == "global" and settings.SHORTLIST != "none":
        return "global" if 0 < settings.TOPK < len(gallery) else "none"
    if not isinstance(gallery, IndexedGallery):
        images, device = gallery.images, query.features.device
        return chosen_shortlist(settings, len(query.weights), len(gallery), images.columns, device)
    if not 0 < settings.TOPK < len(gallery):
        return "none"
    # An index has been made for the rough search, and its columns lie on a disk.
    return "coarse" if settings.SHORTLIST == "auto" else str(settings.SHORTLIST)
