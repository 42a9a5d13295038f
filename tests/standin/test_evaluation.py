"""Evaluations on the stand-in GPU give those of the CPU: all settings, one process and two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from partialreid.engine.launching import launch
from tests.small_evaluation import (
    EVERY,
    check_distances,
    check_halves,
    evaluate_half,
    evaluated,
    name_of,
)
from tests.standin.gpu import StandInGpu

# Blocks have other sizes on a GPU, and products of float32 other last digits.
TOLERANCE = 2e-5


@pytest.mark.parametrize("settings", EVERY, ids=name_of)
def test_one_process(standin: StandInGpu, settings: dict[str, Any]) -> None:
    evaluator, results = evaluated(standin.name, settings)
    expected, expected_results = evaluated("cpu", settings)
    check_distances(evaluator.distances, expected.distances, TOLERANCE)
    assert results == pytest.approx(expected_results, abs=1e-9)
    assert evaluator.report.get("lambda") == expected.report.get("lambda")


@pytest.mark.slow
def test_two_processes(tmp_path: Path, standin: StandInGpu, time_limit: Any) -> None:
    """One start of the processes for all settings: it takes longer than they do."""
    with time_limit(300):
        launch(evaluate_half, "cpu", 2, args=(str(tmp_path), standin.name))
    check_halves(tmp_path, TOLERANCE)
