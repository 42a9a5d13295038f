"""By how much does one system find more than another, and how sure is that?

Two intervals that overlap say little: both systems fail at the same people. So the differences are
taken person by person, and it is these that are drawn anew (`metrics.uncertainty`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..metrics.ranking import Array
from ..metrics.uncertainty import ROUNDS, bootstrap_intervals
from .query_record import METRICS

# What `query_record` keeps.
Queries: TypeAlias = Mapping[str, Sequence[Any]]


def paired_difference(queries: Queries, first: Queries, seed: int = 0, rounds: int = ROUNDS) -> str:
    """Gain in Rank-1 and mAP with 95 % intervals over identities; of one person without.

    Args:
        queries: of the system that gains, as `query_record` keeps them.
        first: of the other one, of the same people.
        seed, rounds: of the draws, as in `bootstrap_intervals`; no interval of 0 rounds.

    Raises:
        ValueError: the queries are of different people.
    """
    require_same_people(queries, first)
    mine, theirs = by_identity(queries), by_identity(first)
    gains = {m: np.subtract(mine[m], theirs[m]) for m in METRICS}
    people = mine["identities"]
    spread = bootstrap_intervals(gains, people, seed, rounds) if rounds else {}
    edges = {m: f" ({low:+.1f} to {high:+.1f})" for m, (low, high) in spread.items()}
    return " / ".join(f"{gains[m].mean():+.1f}{edges.get(m, '')}" for m in METRICS)


def same_people(one: Queries, other: Queries) -> bool:
    """Whether both are of the same identities, each as often.

    Images are not compared: numbers of people whose labels are text say their order alone.
    """
    return sorted(one["identities"]) == sorted(other["identities"])


def require_same_people(one: Queries, other: Queries) -> None:
    """Raise ValueError if they are not of the same people."""
    if not same_people(one, other):
        raise ValueError("the networks were evaluated on different queries: run both again.")


def by_identity(queries: Queries) -> dict[str, Array]:
    """Identities and metrics in the order of the identities.

    Images of one size are evaluated together, so that the order is not that of the files. Intervals
    are over identities: which query of one gained what makes no difference to them.
    """
    order = np.argsort(queries["identities"], kind="stable")
    return {name: np.asarray(values)[order] for name, values in queries.items()}
