"""What an evaluation leaves behind, and what long work says meanwhile."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from partialreid.reporting import results
from partialreid.reporting.results import FIGURES, results_table, run_record
from partialreid.runtime import progress as progress_module
from partialreid.runtime.progress import progress


def report(first: float, selection: str = "fixed") -> dict[str, Any]:
    """A report in which all fifteen figures differ."""
    distances = ("global", "reconstruction", "fused")
    figures = {
        name: {figure: first + 10 * i + j for j, figure in enumerate(FIGURES)}
        for i, name in enumerate(distances)
    }
    return {**figures, "lambda": 0.37, "lambda_selection": selection}


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


def test_record_can_be_made_again(make_config) -> None:
    cfg = make_config("SEED", 77, "TEST.DSR.KAPPA", 0.25, "TEST.DSR.LAMBDA", 0.125)
    cfg.merge_from_list(["TEST.DSR.TOPK", 13, "TEST.DSR.CAMERAS", "filename"])
    cfg.merge_from_list(["TEST.DSR.LAMBDA_SELECTION", "oracle", "DATASETS.DERIVED_SEED", 5])
    cfg.freeze()
    record = json.loads(json.dumps(run_record(cfg, world_size=3)))
    assert record["seed"] == 77
    assert record["processes"] == 3
    assert record["device"] == "cpu"
    wanted = {"kappa": 0.25, "lambda": 0.125, "topk": 13, "cameras": "filename"}
    wanted |= {"lambda_selection": "oracle", "derived_seed": 5, "fill": cfg.TEST.DSR.FILL}
    assert wanted.items() <= record["protocol"].items()
    assert record["config"]["TEST"]["DSR"]["KAPPA"] == 0.25
    for package in ("fastreid", "torch", "numpy"):
        assert record["versions"][package] == importlib.metadata.version(package)
    assert "python" in record["versions"]


def test_config_of_the_record_makes_the_same_config(make_config) -> None:
    cfg = make_config("SEED", 77, "DATASETS.TESTS", ("PartialREID", "PartialiLIDS"))
    again = make_config()
    again.merge_from_other_cfg(type(cfg)(run_record(cfg, 1)["config"]))
    assert again.dump() == cfg.dump()


def test_record_without_git_or_packages(make_config, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    monkeypatch.setattr(results, "PACKAGES", ("no-such-package",))
    record = run_record(make_config(), 1)
    assert record["commit"] is None
    assert record["versions"]["no-such-package"] is None


class Clock:
    """Time that passes only with the work."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def work(self, items: int, seconds: float) -> Any:
        for item in range(items):
            yield item
            self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    caplog.set_level(logging.INFO)
    return clock


def test_progress_yields_everything_and_estimates(clock: Clock, caplog, capsys) -> None:
    done = []
    for item in progress(clock.work(10, 0.0), 10, "drawing", "images"):
        done.append(item)
        clock.now += 15.0
    assert done == list(range(10))
    # A line after 30, 60, 90 and 120 of 150 seconds, none when all is done.
    assert caplog.messages == [
        "drawing: 2 of 10 images, about 0:02:00 left",
        "drawing: 4 of 10 images, about 0:01:30 left",
        "drawing: 6 of 10 images, about 0:01:00 left",
        "drawing: 8 of 10 images, about 0:00:30 left",
    ]
    assert capsys.readouterr().err == ""


def test_short_work_says_nothing(clock: Clock, caplog) -> None:
    assert list(progress(clock.work(100, 0.1), 100, "drawing")) == list(range(100))
    assert caplog.messages == []


def test_bar_in_a_terminal(clock: Clock, caplog, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(progress(clock.work(3, 60.0), 3, "drawing", "images")) == [0, 1, 2]
    assert "drawing" in capsys.readouterr().err
    assert caplog.messages == []
