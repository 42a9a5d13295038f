"""First answers on known identities, with and without the person in the gallery.

Half of what a calibration has to know, what a distance is like whose person is absent, no test set
shows: there each query has a match. So each query is asked twice, the second time of a gallery
without the images of its identity.

Shapes: Q queries, G gallery images, S answers, K images of a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..metrics.ranking import Array, Ids

LISTED = 10  # K, as long as a list is by default


class FirstAnswers(NamedTuple):
    """The first answers of S queries, and the beginnings of their lists.

    Attributes:
        distance: (S,) of the first answer.
        margin: (S,) how much farther the nearest image of another identity than the answer's is.
        right: (S,) whether the answer shows the person of the query.
        present: (S,) whether any image of the gallery does.
        identity: (S,) of the query.
        listed: (S, K + 1) distances of the first K images, the first answer's too, and behind them
            that of the nearest image of another identity than the answer's; infinity where there
            are fewer.
        people: (S, K + 1) their identities.
    """

    distance: Array
    margin: Array
    right: Array
    present: Array
    identity: Array
    listed: Array
    people: Array

    def of(self, some: Array) -> FirstAnswers:
        """Those where `some` (S,) is true."""
        return FirstAnswers(*(values[some] for values in self))


def together(sets: Sequence[Sequence[FirstAnswers]]) -> FirstAnswers:
    """The answers of several sets as one, whose people are as many as those of all sets.

    A number that two sets have is two people: those of the first set keep theirs, those of the
    others get numbers that are free.

    Args:
        sets: of each set of people the answers of its parts, in which a number is one person.
    """
    parts: list[FirstAnswers] = []
    last: int | None = None
    for answers in sets:
        numbers = np.concatenate(
            [x.ravel() for each in answers for x in (each.identity, each.people)]
        )
        if not len(numbers):
            continue
        apart = 0 if last is None else last + 1 - int(numbers.min())
        parts += [
            each._replace(identity=each.identity + apart, people=each.people + apart)
            for each in answers
        ]
        last = int(numbers.max()) + apart
    return FirstAnswers(*(np.concatenate(values) for values in zip(*parts or sets[0], strict=True)))


def first_answers(distances: Array, ids: Ids) -> FirstAnswers:
    """The first answer of each query with its person in the gallery, then without.

    Gallery images of the query's identity by the query's own camera are left out, as in all
    evaluations. Queries without a match, and those for which the gallery shows one other identity
    alone, are left out: they have no margin. Where none is left there are no answers.

    Args:
        distances: (Q, G).
        ids: query and gallery identities, query and gallery cameras.
    """
    q_pids, g_pids, q_cams, g_cams = (np.asarray(values) for values in ids)
    rows = []
    for present in (True, False):
        for q, row in enumerate(distances):
            same = g_pids == q_pids[q]
            matches = same & (g_cams != q_cams[q])
            open_to = ~same | matches if present else ~same
            if not matches.any() or len(np.unique(g_pids[open_to])) < 2:
                continue
            places = np.flatnonzero(open_to)
            places = places[np.argsort(row[places], kind="stable")]
            first = places[0]
            others = places[g_pids[places] != g_pids[first]]
            margin = row[others[0]] - row[first]
            # What a short list lacks is its last image again, infinitely far.
            short = max(LISTED - len(places), 0)
            shown = np.append(np.pad(places[:LISTED], (0, short), "edge"), others[0])
            listed = row[shown]
            listed[LISTED - short : LISTED] = np.inf
            known = (row[first], margin, bool(same[first]), present, q_pids[q])
            rows.append((*known, listed, g_pids[shown]))
    if not rows:
        return FirstAnswers(
            *(np.empty(0), np.empty(0), np.empty(0, bool), np.empty(0, bool), q_pids[:0]),
            *(np.empty((0, LISTED + 1)), np.empty((0, LISTED + 1), g_pids.dtype)),
        )
    return FirstAnswers(*(np.array(part) for part in zip(*rows, strict=True)))
