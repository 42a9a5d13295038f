"""The table of an evaluation: test sets, and in each the distances."""

from __future__ import annotations

from collections.abc import Mapping

from tabulate import tabulate

from ..metrics.report import DISTANCES, METRICS, Distance, Report


def results_table(reports: Mapping[str, Report]) -> str:
    """A Markdown table of all test sets and distances.

    Args:
        reports: for each test set what `DsrEvaluator.report` holds.
    """
    rows = []
    for name, report in reports.items():
        for distance in DISTANCES:
            if distance not in report:
                continue
            label = distance if distance != "fused" else fused_label(report)
            rows.append(
                [
                    in_a_table(name),
                    label,
                    *(metric_cell(report, distance, metric) for metric in METRICS),
                ]
            )
        if "oracle" in report:
            rows.append([in_a_table(name), *oracle_cells(report["oracle"])])
    headers = ["test set", "distance", *METRICS]
    align = ("left", "left", *("right" for _ in METRICS))
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def in_a_table(name: str) -> str:
    """A name as a cell of a Markdown table, whose columns a bare | would shift."""
    return name.replace("|", "\\|")


def oracle_cells(oracle: Mapping[str, float]) -> list[str]:
    """The cells of the oracle: a label that says so, and the metrics of its lambda."""
    label = f"fused, lambda {lambda_text(oracle['lambda'])} (oracle: chosen on this test set)"
    return [label, *(f"{oracle[f]:.2f}" if f in oracle else "" for f in METRICS)]


def fused_label(report: Report) -> str:
    """ "fused", with lambda and how it was chosen."""
    if report["lambda_selection"] == "crossfit":
        low, high = map(lambda_text, sorted(report["lambdas"]))
        return f"fused, lambda {low} and {high} (cross-fitted)"
    label = f"fused, lambda {lambda_text(report['lambda'])}"
    if report["lambda_selection"] == "oracle":
        label += " (oracle: chosen on this test set)"
    return label


def lambda_text(lam: float) -> str:
    """A lambda to be given again as TEST.DSR.LAMBDA: two digits, and more where it has more."""
    text = f"{lam:.2f}"
    return text if abs(float(text) - lam) < 1e-10 else f"{lam:.10g}"


def metric_cell(report: Report, distance: Distance, metric: str) -> str:
    """A metric with its 95 % interval, or with its standard deviation over single-shot rounds."""
    text = f"{report[distance][metric]:.2f}"
    interval = report.get("intervals", {}).get(distance, {}).get(metric)
    if interval and metric in ("Rank-1", "mAP"):
        return f"{text} [{interval[0]:.1f}, {interval[1]:.1f}]"
    if "single_shot" in report:
        spread = report["single_shot"][distance][metric]
        assert isinstance(spread, list)  # mean and deviation
        return f"{text} ± {spread[1]:.2f}"
    return text
