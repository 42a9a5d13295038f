"""The tables of README.md, docs/results_table.md and docs/results_fit.md, made of their records.

    python -m benchmarks.results_table

`partialreid compare` measures and writes the JSON; this writes what is read, so that no number is
copied by hand. A test compares the files with it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench import ROOT, no_options
from partialreid.reporting.comparison import comparison_table
from partialreid.reporting.paired_difference import paired_difference

RESULTS = ROOT / "docs" / "results"
# The systems by the proportions of the gallery, on six sets or on the partial ones.
BY_GALLERY_RESULTS = RESULTS / "by_gallery.json"
# The same networks with images to fit, on the partial sets.
SAME_TO_FIT_RESULTS = RESULTS / "same_to_fit.json"
# The mean of two trainings of other systems, by the gallery.
MEAN_OF_OTHERS_RESULTS = RESULTS / "mean_of_others.json"
MEAN_OF_OTHERS = "the mean of FPR and FastReID-DSR"
# All that was measured to fit before, on six sets.
TO_FIT_RESULTS = RESULTS / "to_fit.json"
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
UPSTREAM = "FastReID-DSR, the original's checkpoint and protocol"
# Rows that ours had before.
TWO = "ours, two trainings"
BEFORE = (TWO, "ours, one training", "ours, first recipe", "ours, first recipe, 24 epochs")
ONE = BEFORE[1]
# By which file each system of the table has its lambda; by the gallery its name ends with GALLERY.
# "fpr", "fastreid_dsr" and "ours_one" are of the trainings before. DSR ranks by none.
LAMBDAS = {
    "ours": "ours",
    ONE: "ours_one_again",
    "FastReID-DSR": "fastreid_dsr_again",
    "FPR": "fpr_again",
    "the original's checkpoint": "original",
}
GALLERY = "_gallery_detail"
# People of cameras that no network was trained on, as `select-lambda` names them, whole.
UNKNOWN_CAMERAS = {
    "folder:datasets/CUHK03-val": "CUHK03-val",
    "folder:logs/same_camera.csv": "same camera",
}
# What ours was to reach, set before its training: Rank-1 and, for some sets, mAP.
GOALS: dict[str, tuple[float, ...]] = {
    "PartialREID": (82.7, 76.8),
    "PartialREIDUncropped": (82.0,),
    "PartialiLIDS": (76.5, 82.0),
    "Market1501": (87.0, 70.0),
    "Market1501Partial": (80.0,),
    "Market1501Occluded": (65.0,),
}


def main() -> int:
    files = (BY_GALLERY_RESULTS, SAME_TO_FIT_RESULTS, TO_FIT_RESULTS)
    by_gallery, same, fit = map(read, files)
    systems = on_all_sets(by_gallery)
    print("results_table.md, and the first table of README.md:")
    rows = rows_of(systems, fit)
    print(short_table(rows), goals_table(systems), against_table(systems), sep="\n\n")
    print(by_gallery_table(by_gallery, same), worse_table(rows), sep="\n\n")
    print(unknown_cameras_table(lambdas_by_gallery()), sep="\n\n")
    print(
        mean_of_others_table(by_gallery, read(MEAN_OF_OTHERS_RESULTS)),
        comparison_table(rows),
        sep="\n\n",
    )
    print("results_fit.md:")
    print(*(table(fit) for table in (short_table, worse_table, comparison_table)), sep="\n\n")
    return 0


def read(path: Path) -> dict[str, Any]:
    """The record in a file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def on_all_sets(record: dict[str, Any]) -> dict[str, Any]:
    """The systems that were measured on all sets; others were on the partial ones alone."""
    return {name: parts for name, parts in record.items() if set(SETS) <= set(parts)}


def rows_of(systems: dict[str, Any], fit: dict[str, Any]) -> dict[str, Any]:
    """The rows of the table: the original's protocol, then all systems by the gallery."""
    return {UPSTREAM: fit[UPSTREAM], **systems}


def short_table(record: dict[str, Any]) -> str:
    """Rank-1 / mAP of each system's own distance: a row for each, the published ones last."""
    lines = ["| | " + " | ".join(SETS.values()) + " |", "|---" * (len(SETS) + 1) + "|"]
    best = {name: max(_own(x, name)["Rank-1"] for x in record.values()) for name in SETS}
    for system, parts in record.items():
        cells = []
        for name in SETS:
            found = _own(parts, name)
            cell = f"{found['Rank-1']:.1f} / {found['mAP']:.1f}"
            cells.append(f"**{cell}**" if found["Rank-1"] == best[name] else cell)
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    for system, (reid, ilids) in PUBLISHED.items():
        known = {"PartialREID": f" *{reid}* ", "PartialiLIDS": f" *{ilids}* "}
        lines.append(f"| *{system}* |" + "|".join(known.get(name, " ") for name in SETS) + "|")
    return "\n".join(lines)


def _own(parts: dict[str, Any], name: str) -> dict[str, Any]:
    """Metrics on a set by the distance that a system ranks by; DSR has no global term."""
    found: dict[str, Any] = parts[name][parts["run"]["protocol"]["distance"]]
    return found


def goals_table(record: dict[str, Any]) -> str:
    """Each goal beside what ours finds by the fused distance, and by how much it is missed."""
    lines = [f"| set | goal | ours, fused | | {ONE} | |", "|---" * 6 + "|"]
    for name, goal in GOALS.items():
        cells = [SETS[name], _joined(goal, "g")]
        for system in ("ours", ONE):
            fused = record[system][name]["fused"]
            cells += _verdict(goal, (fused["Rank-1"], fused["mAP"])[: len(goal)])
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _verdict(goal: Sequence[float], found: Sequence[float]) -> tuple[str, str]:
    """What was found, and by how much a goal is missed."""
    short = [max(0.0, aim - value) for aim, value in zip(goal, found, strict=True)]
    # By less than a tenth is missed, too: then two digits, or it would be "missed by 0.0".
    form = ".2f" if any(0 < value < 0.05 for value in short) else ".1f"
    said = "met" if not any(short) else f"missed by {_joined(short, form)}"
    return _joined(found, form), said


def worse_table(record: dict[str, Any]) -> str:
    """Where the reconstruction finds less than the global distance: in Rank-1, mAP, or both."""
    lines = ["| | global | reconstruction | difference |", "|---|---|---|---|"]
    for system, parts in record.items():
        for name, title in SETS.items():
            whole, rebuilt = (
                (parts[name][distance]["Rank-1"], parts[name][distance]["mAP"])
                for distance in ("global", "reconstruction")
            )
            change = [b - a for a, b in zip(whole, rebuilt, strict=True)]
            if min(change) < 0:
                cells = (_joined(whole, ".1f"), _joined(rebuilt, ".1f"), _joined(change, "+.1f"))
                lines.append(f"| {system}, {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def unknown_cameras_table(lambdas: Mapping[str, dict[str, Any]]) -> str:
    """What each network finds of whole people before cameras that it was not trained on.

    Args:
        lambdas: what `select-lambda` wrote of each system.
    """
    titles = [
        f"{people}, {distance}"
        for people in UNKNOWN_CAMERAS.values()
        for distance in ("global", "reconstruction")
    ]
    lines = [f"| whole people | {' | '.join(titles)} |", "|---" * 5 + "|"]
    for system, record in lambdas.items():
        curves = [record["curves"][people] for people in UNKNOWN_CAMERAS]
        # The ends of a curve: lambda 0 is the global distance, lambda 1 the reconstruction.
        ends = [(curve["Rank-1"][end], curve["mAP"][end]) for curve in curves for end in (0, -1)]
        lines.append(f"| {system} | {' | '.join(_joined(x, '.1f') for x in ends)} |")
    return "\n".join(lines)


def lambdas_by_gallery() -> dict[str, dict[str, Any]]:
    """How lambda was chosen by the gallery, of each system that ranks by one."""
    files = {name: f"{file}{GALLERY}.json" for name, file in LAMBDAS.items()}
    return {name: read(RESULTS / "lambda" / file) for name, file in files.items()}


def by_gallery_table(by_gallery: dict[str, Any], same: dict[str, Any]) -> str:
    """Each network to fit and by the gallery on each set, and the difference with its interval."""
    lines = ["| | to fit | by the gallery | difference |", "|---|---|---|---|"]
    for network, before in same.items():
        after = by_gallery[network]
        for name in (name for name in SETS if name in before):
            found = (_own(before, name), _own(after, name))
            cells = (_joined((x["Rank-1"], x["mAP"]), ".1f") for x in found)
            gain = _difference(after, before, name)
            lines.append("| " + " | ".join((f"{network}, {SETS[name]}", *cells, gain)) + " |")
    return "\n".join(lines)


def mean_of_others_table(by_gallery: dict[str, Any], mean: dict[str, Any]) -> str:
    """What the mean of two trainings finds, and how much more than either, with intervals."""
    parts = ("FPR", "FastReID-DSR")
    titles = ["", MEAN_OF_OTHERS, *(f"more than {part}" for part in parts)]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for name, title in SETS.items():
        found = _own(mean[MEAN_OF_OTHERS], name)
        gains = (_difference(mean[MEAN_OF_OTHERS], by_gallery[part], name) for part in parts)
        cells = (title, _joined((found["Rank-1"], found["mAP"]), ".1f"), *gains)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def against_table(record: dict[str, Any], first: str = "ours") -> str:
    """What each other system finds more than the first one, each by its own distance."""
    others = [name for name in record if name != first]
    lines = [f"| than {first} | " + " | ".join(others) + " |", "|---" * (len(others) + 1) + "|"]
    for name in SETS:
        cells = (_difference(record[other], record[first], name) for other in others)
        lines.append("| " + " | ".join((SETS[name], *cells)) + " |")
    return "\n".join(lines)


def _difference(after: dict[str, Any], before: dict[str, Any], name: str) -> str:
    """How much more one system finds on a set than another, with 95 % intervals."""
    protocol = after["run"]["protocol"]
    return paired_difference(
        after[name]["queries"],
        before[name]["queries"],
        seed=protocol["protocol_seed"],
        rounds=protocol["bootstrap_rounds"],
    )


def _joined(values: Sequence[float], form: str) -> str:
    return " / ".join(format(value, form) for value in values)


if __name__ == "__main__":
    no_options(__doc__)
    sys.exit(main())
