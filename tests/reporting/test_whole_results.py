"""What a file of results may lack is found before a table is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from partialreid.reporting.comparison import cmc_panels, comparison_table
from partialreid.reporting.whole_results import flaw_of_results, flaw_of_run
from tests.made_up_reports import report

RANK1 = {"global": 40.0, "reconstruction": 35.0, "fused": 42.0}
ORACLE = {"lambda": 0.3, "Rank-1": 43.0, "mAP": 21.0}
SPREADS = {name: {key: [1.0, 2.0] for key in report(RANK1)["global"]} for name in RANK1}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"selected": "fused", "oracle": ORACLE},
        {"lambda_selection": "crossfit", "lambdas": [0.2, 0.4]},
        {"single_shot": SPREADS},
        {"intervals": {"global": {"Rank-1": [1.0, 2.0]}}},
    ],
    ids=str,
)
def test_what_is_whole_makes_a_table(changes: dict[str, Any]) -> None:
    part = {**report(RANK1), **changes}
    assert flaw_of_results(part) == ""
    record = {"A": {"X": part, "run": {}}}
    assert comparison_table(record) and cmc_panels(record)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"global": None}, "global"),
        ({"fused": {"Rank-1": 1.0}}, "fused"),
        ({"reconstruction": 3}, "reconstruction"),
        ({"selected": None}, "selected"),
        ({"selected": ["global"]}, "selected"),
        ({"cmc": None}, "cmc"),
        ({"cmc": {"fused": [0.4]}}, "cmc"),
        ({"cmc": {"global": [0.4]}, "selected": "fused"}, "cmc"),
        ({"cmc": {"global": ["0.4"]}}, "cmc"),
        ({"cmc": {"global": [0.4, 0.5], "fused": [0.4]}}, "cmc"),
        ({"seconds_per_query": 0.1}, "seconds_per_query"),
        ({"seconds_per_query": {}}, "seconds_per_query"),
        ({"lambda": "0.8"}, "lambda"),
        ({"lambda_selection": None}, "lambda_selection"),
        ({"lambda_selection": "crossfit"}, "lambdas"),
        ({"lambda_selection": "crossfit", "lambdas": [0.1, 0.2, 0.3]}, "lambdas"),
        ({"oracle": {"Rank-1": 43.0}}, "oracle"),
        ({"oracle": {**ORACLE, "mAP": None}}, "oracle"),
        ({"single_shot": {}}, "single_shot"),
        ({"single_shot": {**SPREADS, "fused": {"Rank-1": 3.0}}}, "single_shot"),
        ({"intervals": []}, "intervals"),
        ({"intervals": {"global": {"Rank-1": [1.0]}}}, "intervals"),
    ],
    ids=str,
)
def test_what_is_not_whole_is_named(changes: dict[str, Any], key: str) -> None:
    said = f'has no "{key}" as an evaluation writes it'
    assert flaw_of_results({**report(RANK1), **changes}) == said


def test_what_is_no_record_at_all() -> None:
    assert [flaw_of_results(part) for part in (None, 3, [])] == ["is no record of results"] * 3
    assert [flaw_of_run(run) for run in (None, 3, {"protocol": 1})] == ["is no record of a run"] * 3
    said = 'has no "protocol" as an evaluation writes it'
    for protocol in ({"derived": 1}, {"bootstrap_rounds": "200"}, {"protocol_seed": None}):
        assert flaw_of_run({"protocol": protocol}) == said
    assert flaw_of_run({}) == flaw_of_run({"protocol": {"derived": {}, "protocol_seed": 0}}) == ""
