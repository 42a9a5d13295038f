"""docs/choosing.md and ingredients.md as tests read them, and the records that they speak of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.paths import ROOT

PAGE = "\n".join(
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("choosing", "ingredients")
)
VALIDATION = ROOT / "docs" / "results" / "validation"
LAMBDA = ROOT / "docs" / "results" / "lambda"
# Seed 0 as it was trained a second time, see the page.
KEPT_THREE = "shrink_no_cut_again+shrink_no_cut_seed1+shrink_no_cut_seed2"
CUT_THREE = "shrink_again+shrink_seed1+shrink_seed2"
MEAN_THREE = "mean_two+mean_two_other+mean_two_third"
# Titles of columns that are no file's name.
FILES = {
    "shrink_no_cut, three seeds": KEPT_THREE,
    "shrink, three seeds": CUT_THREE,
    "shrink_no_cut, seeds 1 and 2": "shrink_no_cut_seed1+shrink_no_cut_seed2",
    "shrink_instance_norm, seeds 1 and 2": "shrink_instance_norm_seed1+shrink_instance_norm_seed2",
    "mean_two, three pairs": MEAN_THREE,
    "softmax, three seeds": "softmax+softmax_seed1+softmax_seed2",
    "instance norm, two seeds": "instance_norm+instance_norm_seed1",
    "windows of 2 and 4": "levels_2_4",
    "windows of 4, 6 and 8": "levels_4_6_8",
}


def tables(text: str) -> Iterator[list[list[str]]]:
    """The tables of a page, as rows of cells, without the line below the titles."""
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.split("|")[1:-1]])
        elif rows:
            yield [row for row in rows if set("".join(row)) - set(":-")]
            rows = []


def read(path: Any) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
