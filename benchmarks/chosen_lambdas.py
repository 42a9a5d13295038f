"""Which of several networks finds more, each by the lambda that was chosen for it?

    python -m benchmarks.chosen_lambdas logs/one/lambda.json logs/other/lambda.json ...

The files are those that `partialreid select-lambda` writes. Networks are set beside the first that
is named, as `benchmarks.validation` sets them: Rank-1 / mAP by the fused distance, and the
difference with its 95 % interval, for which the same persons are drawn for both. The last rows are
of all queries of the same people, whole, cut, hidden or small.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.bench import refuse
from benchmarks.validation import compared
from partialreid.derived.dataset import SUFFIXES
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
        SystemExit: a file is of another program or of an older version, or holds other people.
    """
    networks = [_read(file) for file in files]
    titles = list(networks[0])
    if any(list(network) != titles for network in networks):
        refuse(f"the lambdas were not chosen by the same sets: {', '.join(titles)} in the first.")
    people = list(dict.fromkeys(_people(title) for title in titles))
    return compared(files, [[network] for network in networks], titles, people)


def _people(title: str) -> str:
    """The set that one is made of, as all of them are named: itself where it is made of none."""
    return next((title.removesuffix(end) for end in SUFFIXES if title.endswith(end)), title)


def _read(file: str) -> dict[str, Any]:
    """What was found at the chosen lambda, by set, of whose name no folder is said."""
    if not os.path.isfile(file):
        refuse(f'"{file}" is not there: `partialreid select-lambda` writes it.')
    with open(file, encoding="utf-8") as stream:
        record = json.load(stream)
    if not isinstance(record, dict) or "queries" not in record:
        refuse(
            f'"{file}" does not hold what each query found: write it anew by `partialreid '
            "select-lambda`."
        )
    return {name.split("/")[-1]: {"queries": found} for name, found in record["queries"].items()}


if __name__ == "__main__":
    sys.exit(main())
