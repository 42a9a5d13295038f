"""Evaluations on the stand-in GPU give those of the CPU: all settings, one process and two."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from partialreid.engine.launching import launch
from partialreid.matching.column_store import ColumnStore
from tests.small_evaluation import (
    EVERY,
    IN_PRODUCT,
    check_distances,
    check_halves,
    evaluate_half,
    evaluated,
    name_of,
)
from tests.standin.gpu import StandInGpu

# Blocks have other sizes on a GPU, and products of float32 other last digits.
TOLERANCE = 2e-5
FEW = range(10)


@pytest.mark.parametrize("settings", EVERY, ids=name_of)
def test_one_process(standin: StandInGpu, settings: dict[str, Any]) -> None:
    evaluator, results = evaluated(standin.name, settings)
    expected, expected_results = evaluated("cpu", settings)
    check_distances(evaluator.distances, expected.distances, TOLERANCE)
    assert results == pytest.approx(expected_results, abs=1e-9)
    assert evaluator.report.get("lambda") == expected.report.get("lambda")


@pytest.mark.parametrize("shortlist", ["coarse", "auto"])
def test_columns_stay_on_the_device(
    shortlist: str, standin: StandInGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of its free memory is theirs, of which these take little: no file is written."""

    def write(*_: Any) -> None:
        raise AssertionError("columns went to a file")

    monkeypatch.setattr(ColumnStore, "_write", write)
    settings = {"TEST.DSR.SHORTLIST": shortlist, "ragged": False}
    evaluated(standin.name, settings)
    with pytest.raises(AssertionError, match="went to a file"):
        evaluated(standin.name, {**settings, "TEST.DSR.MEMORY_GB": 5.5e-6})


SOME = ("TEST.DSR.SHORTLIST", "TEST.DSR.CODES", "TEST.DSR.STORAGE")


@pytest.mark.slow(minutes=0.04)
@pytest.mark.parametrize("some", list(itertools.product(*map(IN_PRODUCT.get, SOME))), ids=" ".join)
def test_all_combinations(standin: StandInGpu, some: tuple[str, ...]) -> None:
    """All 384 of seven settings, with five queries and five galleries of four people."""
    others = [key for key in IN_PRODUCT if key not in (*SOME, "TEST.ROC.ENABLED")]
    for values in itertools.product(*map(IN_PRODUCT.get, others)):
        settings = dict(zip((*SOME, *others), (*some, *values), strict=True), ragged=False)
        expected, whole = evaluated("cpu", {**settings, "TEST.ROC.ENABLED": True}, FEW)
        rates = {key for key in whole if "FAR" in key}
        assert len(rates) == 9
        for rated in (False, True):
            chosen = {**settings, "TEST.ROC.ENABLED": rated}
            evaluator, results = evaluated(standin.name, chosen, FEW)
            check_distances(evaluator.distances, expected.distances, TOLERANCE, len(FEW))
            wanted = {k: v for k, v in whole.items() if rated or k not in rates}
            assert results == pytest.approx(wanted, abs=1e-9), chosen


@pytest.mark.slow
def test_two_processes(tmp_path: Path, standin: StandInGpu, time_limit: Any) -> None:
    """One start of the processes for all settings: it takes longer than they do."""
    with time_limit(300):
        launch(evaluate_half, "cpu", 2, args=(str(tmp_path), standin.name))
    check_halves(tmp_path, TOLERANCE)
