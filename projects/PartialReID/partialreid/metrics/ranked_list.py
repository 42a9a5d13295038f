"""The ranked list of a single query, as an evaluation scores it.

Shapes: G galleries, K of them in the list.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .ranking import Array, Ids, as_array


class RankedList(NamedTuple):
    """The gallery images that count for a query, nearest first.

    Attributes:
        places: (K,) indices in the gallery.
        right: (K,) whether each shows the identity of the query.
    """

    places: Array
    right: Array


def ranked_list(distances: Array, query: int, ids: Ids) -> RankedList:
    """Rank the gallery for one query by the protocol of `ranking.query_scores`.

    Images of the query's identity by its own camera are left out; equal distances are in gallery
    order.

    Args:
        distances: (G,) of the query.
        query: which of the queries it is, for its identity and camera.
        ids: query and gallery identities, query and gallery cameras.
    """
    q_pids, g_pids, q_cams, g_cams = map(as_array, ids)
    same = g_pids == q_pids[query]
    kept = np.flatnonzero(~(same & (g_cams == q_cams[query])))
    places = kept[np.argsort(distances[kept], kind="stable")]
    return RankedList(places, same[places])
