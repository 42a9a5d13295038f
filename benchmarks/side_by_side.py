"""Networks side by side: what each finds, and by how much it differs from the first.

`validation`, `chosen_lambdas` and the programs of `evaluated_ways` make their tables by it, and
`fusion` its cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.bench import refuse
from partialreid.reporting.paired_difference import (
    by_identity,
    paired_difference,
    require_same_people,
)
from partialreid.reporting.query_record import METRICS


def compared(
    names: Sequence[str],
    networks: Sequence[Sequence[dict[str, Any]]],
    titles: Sequence[str],
    together: Mapping[str, Sequence[str]],
) -> str:
    """The table of networks that are known.

    Args:
        names: above the columns.
        networks: of each network the records of its seeds, {set: {"queries": ...}}.
        titles: of the sets, in the order of their rows.
        together: titles whose queries are one row, by what that row is called. Of them those count
            that every network was evaluated on; where there are not two, there is no row.

    Raises:
        SystemExit: the networks were evaluated on different queries.
    """
    rows = []
    for title in titles:
        try:
            parts = [_together(seeds, [title]) for seeds in networks]
            if any(parts):
                rows.append([title, *cells(parts)])
        except ValueError as error:
            refuse(f"{title}: {error}")
    everywhere = [x for x in titles if all(x in record for seeds in networks for record in seeds)]
    for row, wanted in together.items():
        theirs = [title for title in wanted if title in everywhere]
        if len(theirs) > 1:
            parts = [_together(seeds, theirs) for seeds in networks]
            rows.append([row, *cells(parts)])
    return tabulate(rows, ["set", *names], tablefmt="pipe", disable_numparse=True)


def cells(parts: Sequence[dict[str, list[Any]] | None]) -> list[str]:
    """The cells of a row, of the queries of each network; empty where there are none."""
    row = []
    first = parts[0]
    for place, queries in enumerate(parts):
        if queries is None or first is None:
            row.append("")
            continue
        cell = " / ".join(f"{np.mean(queries[metric]):.1f}" for metric in METRICS)
        row.append(cell if place == 0 else f"{cell}; {paired_difference(queries, first)}")
    return row


def _together(
    records: Sequence[dict[str, Any]], titles: Sequence[str]
) -> dict[str, list[Any]] | None:
    """The queries of several sets as one, each counting once, and of several seeds their mean.

    None where a seed lacks a set: the mean of fewer would be that of another network.
    """
    if not all(title in record for record in records for title in titles):
        return None
    parts = [_mean_of_seeds([record[title]["queries"] for record in records]) for title in titles]
    return {name: [x for part in parts for x in part[name]] for name in parts[0]}


def _mean_of_seeds(seeds: Sequence[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """Each query with what seeds found in the mean: of a person with two, that of both.

    Which of a person's queries is which cannot be told, see `by_identity`; means over queries and
    intervals over people are the same.
    """
    if len(seeds) == 1:
        return seeds[0]
    for queries in seeds[1:]:
        require_same_people(queries, seeds[0])
    ordered = [by_identity(queries) for queries in seeds]
    people, owners, counts = np.unique(
        ordered[0]["identities"], return_inverse=True, return_counts=True
    )
    found: dict[str, list[Any]] = {"identities": people[owners].tolist()}
    for metric in METRICS:
        each = [np.bincount(owners, x[metric]) / counts for x in ordered]
        found[metric] = np.mean(each, axis=0)[owners].tolist()
    return found
