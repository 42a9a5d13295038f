"""The table of an evaluation."""

from __future__ import annotations

from typing import Any

from partialreid.reporting.results_table import (
    METRICS,
    fused_label,
    lambda_text,
    oracle_cells,
    results_table,
)


def report(first: float, selection: str = "fixed") -> dict[str, Any]:
    """A report in which all fifteen numbers differ."""
    distances = ("global", "reconstruction", "fused")
    metrics = {
        name: {metric: first + 10 * i + j for j, metric in enumerate(METRICS)}
        for i, name in enumerate(distances)
    }
    return {**metrics, "lambda": 0.37, "lambda_selection": selection}


def cells(table: str) -> list[list[str]]:
    return [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()]


def test_table_holds_every_distance_of_every_set() -> None:
    table = results_table({"PartialREID": report(10.128), "PartialiLIDS": report(50.0)})
    head, rule, *rows = cells(table)
    assert head == ["test set", "distance", "Rank-1", "Rank-5", "Rank-10", "mAP", "mINP"]
    assert all(set(cell) <= set(":-") for cell in rule)
    assert [row[0] for row in rows] == ["PartialREID"] * 3 + ["PartialiLIDS"] * 3
    assert [row[1] for row in rows] == ["global", "reconstruction", "fused, lambda 0.37"] * 2
    assert rows[0][2:] == ["10.13", "11.13", "12.13", "13.13", "14.13"]
    assert rows[5][2:] == ["70.00", "71.00", "72.00", "73.00", "74.00"]


def test_table_labels_the_oracle_and_nothing_else() -> None:
    table = results_table({"A": report(1.0, "oracle"), "B": report(1.0)})
    marked = [row[:2] for row in cells(table) if "oracle" in row[1]]
    assert marked == [["A", "fused, lambda 0.37 (oracle: chosen on this test set)"]]


def test_table_without_reconstruction() -> None:
    rows = cells(results_table({"A": {"global": report(1.0)["global"]}}))[2:]
    assert rows == [["A", "global", "1.00", "2.00", "3.00", "4.00", "5.00"]]


def test_a_lambda_is_not_rounded_to_another_one() -> None:
    """It is given again as TEST.DSR.LAMBDA, whose step may be finer than a hundredth."""
    lambdas = {0.8: "0.80", 0.37: "0.37", 29 * 0.01: "0.29", 0.125: "0.125", 7 * 0.001: "0.007"}
    assert {lam: lambda_text(lam) for lam in lambdas} == lambdas
    assert fused_label({**report(1.0), "lambda": 0.995}) == "fused, lambda 0.995"
    both = {**report(1.0, "crossfit"), "lambdas": [0.995, 0.125]}
    assert fused_label(both) == "fused, lambda 0.125 and 0.995 (cross-fitted)"
    assert oracle_cells({"lambda": 0.125})[0].startswith("fused, lambda 0.125 (oracle")
