"""From distances to metrics: protocols, intervals, and what the table says."""

from __future__ import annotations

import pytest

from partialreid.metrics.report import report_of, summarize
from partialreid.reporting.results_table import results_table
from tests.metrics.noisy import PEOPLE, case


def test_intervals_hold_the_metric_and_can_be_left_out(settings) -> None:
    near, matched, ids = case()
    report = report_of({"global": near, "reconstruction": matched}, ids, settings())
    for name, distance in (("global", near), ("reconstruction", matched)):
        assert report[name] == pytest.approx(summarize(distance, ids))
        for metric in ("Rank-1", "mAP"):
            low, high = report["intervals"][name][metric]
            assert low < report[name][metric] < high
    bare = report_of({"global": near}, ids, settings(BOOTSTRAP_ROUNDS=0))
    assert bare["intervals"] == {"global": {}}
    assert "[" not in results_table({"Test": bare})


def test_single_shot_galleries_are_easier(settings) -> None:
    near, _, ids = case()
    shot = report_of({"global": near}, ids, settings(PROTOCOL="single-shot", SINGLE_SHOT_ROUNDS=5))
    mean, deviation = shot["single_shot"]["global"]["Rank-1"]
    assert shot["global"]["Rank-1"] == mean
    assert deviation > 0
    assert shot["single_shot"]["global"]["gallery"] == PEOPLE
    # A third of the wrong images, but also of the right ones: average precision gains.
    assert shot["global"]["mAP"] > summarize(near, ids)["mAP"]
    assert f"± {deviation:.2f}" in results_table({"Test": shot})
    again = report_of({"global": near}, ids, settings(PROTOCOL="single-shot", SINGLE_SHOT_ROUNDS=5))
    assert again == shot
