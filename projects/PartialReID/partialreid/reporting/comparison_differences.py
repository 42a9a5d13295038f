"""The second table of a comparison: by how much each system differs from the first."""

from __future__ import annotations

from tabulate import tabulate

from .comparison import Systems, compared
from .paired_difference import paired_difference
from .results_table import fused_label

HEADING = (
    "Differences from the first system, each by the distance that its config selects, with 95 % "
    "intervals over the same people of both:"
)


def difference_table(record: Systems) -> str:
    """A Markdown table below its heading: on each test set the gains of all systems but the first.

    A system of which no queries are kept, as it was compared by an older version or by the
    single-shot protocol, has no row.

    Args:
        record: as for `comparison_table`, with `queries` and `selected`.

    Returns:
        "" where there is no row.
    """
    (_, of_first), *others = compared(record).items()
    rows = []
    for test, first in of_first.items():
        for system, parts in others:
            part = parts[test]
            if "queries" not in first or "queries" not in part:
                continue
            try:
                cell = paired_difference(part["queries"], first["queries"])
            except ValueError:
                cell = "other queries"
            selected = part["selected"]
            distance = fused_label(part) if selected == "fused" else selected
            rows.append([test, system, distance, cell])
    if not rows:
        return ""
    headers = ["test set", "system", "distance", "Rank-1 / mAP"]
    table = tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)
    return f"{HEADING}\n\n{table}"
