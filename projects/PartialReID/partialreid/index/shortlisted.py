"""The distances of queries to the images of an index, of which only a shortlist is reconstructed.

Shapes: Q queries, B images that may be found, K shortlisted of each query, S images in all
shortlists.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..matching.extracted import Images
from ..matching.precision import full_precision
from ..matching.sharding import Matcher
from .stored_gallery import Rows, StoredGallery


class Shortlisted(NamedTuple):
    """The images that were reconstructed, in the order of the shortlist.

    Attributes:
        rows: (Q, K) places in the index.
        near: (Q, K) global distances.
        matched: (Q, K) reconstruction distances.
    """

    rows: Tensor
    near: Tensor
    matched: Tensor


def shortlisted_distances(
    query: Images,
    index: StoredGallery,
    matcher: Matcher,
    topk: int,
    *,
    rows: Rows | None = None,
    by: str = "coarse",
    squared: bool = False,
) -> Shortlisted:
    """Distances to the `topk` nearest images, as `sharding.sharded_distances` has them.

    No array is as large as the index, and only the columns of S images are read.

    Args:
        query: Q images on the device of the index.
        index: the gallery.
        matcher: the exact distance.
        topk: K; fewer where there are fewer images.
        rows: places of the images that may be found, see `StoredGallery.select`; None: all.
        by: "coarse" or "global", see `StoredGallery.shortlist`.
        squared: whether the exact distance sums squared residuals.

    Returns:
        All of it on the CPU.

    Raises:
        ValueError: what is read is no longer what was written.
    """
    shortlist = index.shortlist(query, topk, rows=rows, by=by, squared=squared)
    different, place = shortlist.unique(return_inverse=True)
    gallery = index.images(different)
    asking = torch.arange(len(shortlist)).repeat_interleave(shortlist.shape[1])
    pairs = torch.stack([asking, place.flatten()], dim=1)
    matched = matcher.pairs(query, gallery, pairs).cpu().view(shortlist.shape)
    with full_precision(query.features.device):
        near = 1 - query.features @ gallery.features.to(query.features.dtype).T
    return Shortlisted(shortlist, near.cpu().gather(1, place), matched)
