"""Table and picture of several systems on several test sets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tabulate import tabulate

from ..metrics.report import DISTANCES, METRICS, Distance, Report
from .curve_pictures import Line
from .query_record import is_query_record
from .results_table import fused_label, in_a_table, metric_cell, oracle_cells
from .whole_results import flaw_of_results, flaw_of_run

# What compare.json holds for a system beside its test sets.
RUN = "run"
# By the name of each system, and in each by that of each test set (`Compared`), or RUN.
Systems = Mapping[str, Mapping[str, object]]


class Compared(Report, total=False):
    """What compare.json holds of a system on a test set.

    Attributes:
        cmc: of each distance, fractions from rank 1 on.
        selected: the distance that the system's config selects.
        seconds_per_query: of the `matching`, after the network.
        queries: what each query found by the selected distance, as `query_record` keeps it; with
            the whole gallery alone.
    """

    cmc: dict[Distance, list[float]]
    selected: Distance
    seconds_per_query: dict[str, float]
    queries: dict[str, list[Any]]


def compared(record: Systems) -> dict[str, dict[str, Compared]]:
    """The systems' test sets, without the records of their runs."""
    return {
        system: {test: cast(Compared, part) for test, part in parts.items() if test != RUN}
        for system, parts in record.items()
    }


def earlier_systems(
    paths: Sequence[str], tests: Sequence[str], names: Sequence[str] = ()
) -> dict[str, dict[str, object]]:
    """The systems of earlier comparisons, with these test sets alone.

    Args:
        paths: files compare.json.
        tests: test sets that each system must have.
        names: of systems to come.

    Raises:
        ValueError: a file cannot be read, two systems have one name, a test set is missing, or
            what is there of one is not whole.
    """
    if RUN in tests:
        raise ValueError(f'--tests {RUN}: "{RUN}" is the record of a run, and no test set.')
    record: dict[str, dict[str, object]] = {}
    for path in paths:
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
            systems = {name: dict(parts) for name, parts in found.items()}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f'"{path}" is no compare.json of `partialreid compare`: {error}'
            ) from error
        for name, parts in systems.items():
            missing = [test for test in (*tests, RUN) if test not in parts]
            if missing:
                raise ValueError(
                    f'"{path}" has no {", ".join(missing)} of {name}: its test sets are '
                    f"{', '.join(test for test in parts if test != RUN)}."
                )
            if name in record:
                raise ValueError(f'"{path}": another file has a system {name} as well.')
            record[name] = {part: parts[part] for part in (*tests, RUN)}
            flaws = {test: flaw_of_results(parts[test]) for test in tests}
            flaws[RUN] = flaw_of_run(parts[RUN])
            for where, flaw in flaws.items():
                if flaw:
                    raise ValueError(
                        f'"{path}": what it holds of {name} under {where} {flaw}: compare it anew.'
                    )
            for test in tests:
                part = parts[test]
                if "queries" in part and not is_query_record(part["queries"]):
                    raise ValueError(
                        f'"{path}": the queries of {name} on {test} are no record of what each '
                        "query found. Compare it anew, or take the queries out of the file."
                    )
    for i, name in enumerate(names):
        if name in record or name in names[:i]:
            raise ValueError(f"there are two systems {name}: give one of them another name.")
    return record


def comparison_table(record: Systems) -> str:
    """A Markdown table: test sets, in each the systems, in each the distances.

    The best Rank-1 and mAP of each test set are bold. A row whose distance ranks below the global
    distance of the same system says so. With a cross-fitted lambda the oracle's stands beside it.

    Args:
        record: for each system and test set what `DsrEvaluator.report` holds, and
            `seconds_per_query`.
    """
    rows = []
    systems = compared(record)
    for test in next(iter(systems.values())):
        reports = {system: parts[test] for system, parts in systems.items()}
        best = {
            metric: max(r[d][metric] for r in reports.values() for d in DISTANCES if d in r)
            for metric in ("Rank-1", "mAP")
        }
        for system, report in reports.items():
            for distance in DISTANCES:
                if distance not in report:
                    continue
                cells = []
                for metric in METRICS:
                    cell = metric_cell(report, distance, metric)
                    bold = metric in best and report[distance][metric] == best[metric]
                    cells.append(f"**{cell}**" if bold else cell)
                worse = report[distance]["Rank-1"] < report["global"]["Rank-1"]
                spent = report["seconds_per_query"]["matching"]
                rows.append(
                    [
                        in_a_table(test),
                        in_a_table(system),
                        distance if distance != "fused" else fused_label(report),
                        *cells,
                        f"{1e3 * spent:.0f}" if distance != "global" else "",
                        "below global" if worse else "",
                    ]
                )
            if "oracle" in report:
                rows.append(
                    [in_a_table(test), in_a_table(system), *oracle_cells(report["oracle"]), "", ""]
                )
    headers = ["test set", "system", "distance", *METRICS, "ms per query", ""]
    align = ("left", "left", "left", *("right" for _ in (*METRICS, 0)), "left")
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def cmc_panels(record: Systems) -> dict[str, list[Line]]:
    """CMC curves in per cent, one panel for each test set.

    A system's line is that of the distance which its config selects, with the global one beside it.

    Args:
        record: as for `comparison_table`, with `cmc` and `selected`.
    """
    panels: dict[str, list[Line]] = {}
    for number, (system, parts) in enumerate(compared(record).items()):
        for test, part in parts.items():
            selected = part["selected"]
            curves = {name: [100 * x for x in curve] for name, curve in part["cmc"].items()}
            ranks = range(1, len(curves[selected]) + 1)
            lines = panels.setdefault(test, [])
            label = f"{system}, {selected}" + (", single-shot" if "single_shot" in part else "")
            lines.append(Line(ranks, curves[selected], number, label))
            if selected != "global":
                lines.append(Line(ranks, curves["global"], number, thin=True))
    return panels
