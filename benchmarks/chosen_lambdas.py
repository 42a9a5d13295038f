"""Which of several networks finds more, each by the lambda that was chosen for it?

    python -m benchmarks.chosen_lambdas logs/one/lambda.json logs/other/lambda.json ...

The files are those that `partialreid select-lambda` writes. Networks are set beside the first that
is named, as `benchmarks.validation` sets them: Rank-1 / mAP by the fused distance, and the
difference with its 95 % interval, for which the same persons are drawn for both. The last rows are
of all queries of the same people, whole, cut, hidden or small.

An interval is over people, not over trainings. Each network's lambda was chosen by these same
queries and stays as it is when people are drawn, so that every figure is a little too good.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.bench import refuse
from benchmarks.side_by_side import compared
from partialreid.data.folder_set import PREFIX, without_folders_above
from partialreid.derived.dataset import SUFFIXES
from partialreid.reporting.paired_difference import same_people
from partialreid.reporting.query_record import is_query_record
from partialreid.reporting.same_queries import other_protocol
from partialreid.runtime.errors import user_errors


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    args = parser.parse_args(argv)
    with user_errors():
        print(table(args.files))
    return 0


def table(files: Sequence[str]) -> str:
    """Rank-1 / mAP of each network by its lambda, and its difference from the first.

    Raises:
        SystemExit: a file is of another program or of an older version; or its queries are not
            those of the first.
    """
    records = [_read(file) for file in files]
    networks = [_sets(file, record) for file, record in zip(files, records, strict=True)]
    titles = list(networks[0])
    protocols = [record["run"]["protocol"] for record in records]
    for file, network, protocol in zip(files[1:], networks[1:], protocols[1:], strict=True):
        if other := sorted(set(titles) ^ set(network)):
            refuse(
                f'"{files[0]}" and "{file}" are not of the same sets: {", ".join(other)} is in one '
                "of them alone. Choose both lambdas by the same --people and --queries."
            )
        for title in titles:
            if key := other_protocol(title, protocol, protocols[0]):
                refuse(
                    f'"{files[0]}" and "{file}" are of different queries or galleries of {title}: '
                    f'the "{key}" of their protocols differ. Choose both lambdas by the same keys.'
                )
    names = [
        f"{file}, lambda {record['lambda']:.2f}"
        for file, record in zip(files, records, strict=True)
    ]
    return compared(names, [[network] for network in networks], titles, _together(networks[0]))


def _together(network: dict[str, Any]) -> dict[str, list[str]]:
    """Sets that show the same people, by the name of the row of all their queries.

    A folder's own name may end as that of a derived set. So each name counts as it is, too, and
    those alone are together whose queries are of the same identities.
    """
    found: dict[str, list[str]] = {}
    for title in network:
        for ending in ("", *SUFFIXES):
            if title.endswith(ending):
                found.setdefault(title.removesuffix(ending), []).append(title)
    return {
        f"{people}, all": sets
        for people, sets in found.items()
        if len(sets) > 1
        and all(same_people(network[x]["queries"], network[sets[0]]["queries"]) for x in sets)
    }


def _read(file: str) -> dict[str, Any]:
    """What `select-lambda` wrote."""
    if not os.path.isfile(file):
        refuse(f'"{file}" is not there: `partialreid select-lambda` writes it.')
    try:
        with open(file, encoding="utf-8") as stream:
            record = json.load(stream)
        sets = list(record["queries"].values())
        complete = bool(sets) and all(map(is_query_record, sets))
        if not complete or not isinstance(record["run"]["protocol"], dict):
            raise ValueError
        record["lambda"] = float(record["lambda"])
    except (ValueError, LookupError, AttributeError, TypeError):
        refuse(
            f'"{file}" does not hold what each query found: write it anew by `partialreid '
            "select-lambda`."
        )
    return dict(record)


def _sets(file: str, record: dict[str, Any]) -> dict[str, Any]:
    """Of each set what `compared` takes. Where its folder lies makes no difference to people."""
    found = {}
    for name, queries in record["queries"].items():
        title = without_folders_above(name).removeprefix(PREFIX)
        if title in found:
            refuse(
                f'two sets of "{file}" are called {title}: give one of the folders another name.'
            )
        found[title] = {"queries": queries}
    return found


if __name__ == "__main__":
    sys.exit(main())
