"""The results table of README.md and docs/results_table.md, made of docs/results/table.json.

    python -m benchmarks.results_table

`partialreid compare` measures and writes the JSON; this writes what is read, so that no number is
copied by hand. A test compares both files with it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.bench import ROOT
from partialreid.reporting.comparison import comparison_table

RESULTS = ROOT / "docs" / "results" / "table.json"
SETS = {
    "PartialREID": "Partial-REID",
    "PartialREIDUncropped": "Partial-REID, occluded",
    "PartialiLIDS": "Partial-iLIDS",
    "Market1501": "Market-1501",
    "Market1501Partial": "Market-1501, cut",
    "Market1501Occluded": "Market-1501, hidden",
}
# What FastReID's project PartialReID and the papers report, by name: docs/published.md.
PUBLISHED = {
    "published: DSR": ("73.7 / 68.1", "64.3 / 58.1"),
    "published: FPR": ("81.0 / 76.6", "68.1 / 61.8"),
    "published: FastReID-DSR": ("82.7 / 76.8", "73.1 / 79.8"),
}


def main() -> int:
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    print(short_table(record), comparison_table(record), sep="\n\n")
    return 0


def short_table(record: dict[str, Any]) -> str:
    """Rank-1 / mAP of the fused distance: a row for each system, the published ones last."""
    lines = ["| | " + " | ".join(SETS.values()) + " |", "|---" * (len(SETS) + 1) + "|"]
    best = {name: max(parts[name]["fused"]["Rank-1"] for parts in record.values()) for name in SETS}
    for system, parts in record.items():
        cells = []
        for name in SETS:
            found = parts[name]["fused"]
            cell = f"{found['Rank-1']:.1f} / {found['mAP']:.1f}"
            cells.append(f"**{cell}**" if found["Rank-1"] == best[name] else cell)
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    for system, (reid, ilids) in PUBLISHED.items():
        lines.append(f"| *{system}* | *{reid}* | | *{ilids}* | | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
