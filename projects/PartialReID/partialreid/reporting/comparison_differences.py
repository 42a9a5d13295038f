"""The second table of a comparison: by how much each system differs from the first."""

from __future__ import annotations

from typing import Any, cast

from tabulate import tabulate

from .comparison import RUN, Systems, compared
from .paired_difference import paired_difference, same_people
from .results_table import fused_label, in_a_table
from .same_queries import other_protocol

HEADING = (
    "Differences from the first system, {first}, each by the distance that its config selects, "
    "with 95 % intervals over the same people of both:"
)
NONE_OF_FIRST = (
    "There are no differences from the first system, {first}, as it is not known what each query "
    "found: compare it anew, by TEST.DSR.PROTOCOL full, or name another one first."
)


def difference_table(record: Systems) -> str:
    """A Markdown table below its heading: on each test set the gains of all systems but the first.

    A system of which no queries are kept, as it was compared by an older version or by the
    single-shot protocol, has no row. Where a system was asked other queries than the first, its
    row says so and by which key of the protocol.

    Args:
        record: as for `comparison_table`, with `queries`, `selected` and the record of the run,
            whose protocol says how many draws an interval is of and their seed.

    Returns:
        "" where there is no other system, or none with queries; where the first has none, a
        sentence in place of the table.
    """
    (name, of_first), *others = compared(record).items()
    protocol = _protocol(record, name)
    rows, missing = [], False
    for test, first in of_first.items():
        for system, parts in others:
            part = parts[test]
            if "queries" not in part:
                continue
            if "queries" not in first:
                missing = True
                continue
            key = other_protocol(test, protocol, _protocol(record, system))
            if key or not same_people(part["queries"], first["queries"]):
                cell = f"other queries ({key})" if key else "other queries"
            else:
                cell = paired_difference(
                    part["queries"],
                    first["queries"],
                    seed=protocol.get("protocol_seed", 0),
                    rounds=protocol.get("bootstrap_rounds", 0),
                )
            selected = part["selected"]
            distance = fused_label(part) if selected == "fused" else selected
            rows.append([in_a_table(test), in_a_table(system), distance, cell])
    if not rows:
        return NONE_OF_FIRST.format(first=name) if missing else ""
    headers = ["test set", "system", "distance", "Rank-1 / mAP"]
    table = tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)
    return f"{HEADING.format(first=name)}\n\n{table}"


def _protocol(record: Systems, system: str) -> dict[str, Any]:
    """That of a system's run; of a record that does not say it, nothing."""
    run = cast(dict[str, Any], record[system].get(RUN, {}))
    return dict(run.get("protocol", {}))
