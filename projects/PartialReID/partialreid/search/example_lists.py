"""The ranked lists of some queries of a test set, of which a page shows the beginnings.

Shapes: Q queries, G gallery images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..metrics.query_examples import query_examples
from ..metrics.ranked_list import RankedList, ranked_list
from ..metrics.ranking import Ids, query_scores
from ..metrics.report import Distance

GROUPS = ("The hardest queries", "Queries around the median")


class ExampleLists(NamedTuple):
    """The lists of one query, a whole one by each distance.

    Attributes:
        query: which of the Q it is.
        group: why it was chosen.
        ap: average precision by the distance that the lists are ranked by, a fraction.
        kind: that distance.
        by: the lists by the name of each distance; all hold the same images.
    """

    query: int
    group: str
    ap: float
    kind: Distance
    by: Mapping[Distance, RankedList]

    def ranked(self) -> RankedList:
        """The list by `kind`."""
        return self.by[self.kind]

    def first_right(self, kind: Distance) -> int:
        """The gallery image that is the first right answer by a distance."""
        return int(self.by[kind].places[self.by[kind].right.argmax()])

    def ranks(self, place: int) -> dict[Distance, int]:
        """The rank of a gallery image by each distance, from 1."""
        return {
            name: 1 + int(np.flatnonzero(found.places == place)[0])
            for name, found in self.by.items()
        }

    def shown(self, length: int) -> list[int]:
        """The gallery images that a page needs, nearest first by `kind`.

        Of each list they are the first `length` and the first right answer.
        """
        needed = {self.first_right(name) for name in self.by}
        for found in self.by.values():
            needed.update(found.places[:length].tolist())
        return [place for place in self.ranked().places.tolist() if place in needed]

    def rival(self, place: int) -> list[int]:
        """What an answer is explained beside: the nearest wrong one of a right, and vice versa.

        Returns:
            One place in the gallery; none where all answers are right.
        """
        places, right = self.ranked()
        others = places[right != right[places == place]]
        return [int(other) for other in others[:1]]


def example_lists(
    distances: Mapping[Distance, Tensor],
    ids: Ids,
    kind: Distance,
    names: Sequence[str],
    count: int,
) -> list[ExampleLists]:
    """The lists of queries that are chosen by `query_examples.RULE`.

    Args:
        distances: (Q, G) by the name of each.
        ids: query and gallery identities, query and gallery cameras.
        kind: the distance by which queries are hard.
        names: of the queries.
        count: how many are chosen, see `query_examples`.

    Raises:
        ValueError: no query has a match.
    """
    scores = query_scores(distances[kind], *ids)
    ap = dict(zip(scores.queries.tolist(), scores.ap.tolist(), strict=True))
    return [
        ExampleLists(
            query,
            group,
            ap[query],
            kind,
            {
                name: ranked_list(every[query].numpy(), query, ids)
                for name, every in distances.items()
            },
        )
        for group, chosen in zip(GROUPS, query_examples(scores, names, count), strict=True)
        for query in chosen
    ]
