"""The page of what was found to fit is its record, and says how it was measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.results_table import (
    BEFORE,
    GOALS,
    SETS,
    TO_FIT_RESULTS,
    TWO,
    UPSTREAM,
    read,
    short_table,
    worse_table,
)
from partialreid.reporting.comparison import comparison_table
from tests.paths import ROOT
from tests.results_rows import require_one_recipe

PAGE = (ROOT / "docs" / "results_fit.md").read_text(encoding="utf-8")
CHOOSING = " ".join((ROOT / "docs" / "choosing.md").read_text(encoding="utf-8").split())
OTHERS = ("DSR", "FPR", "FastReID-DSR")
ONE, _, LONGER = BEFORE[1:]
METRICS = ("Rank-1", "mAP")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return read(TO_FIT_RESULTS)


def test_no_number_was_copied_by_hand(record: dict[str, Any]) -> None:
    for table in (short_table, worse_table, comparison_table):
        assert table(record) in PAGE


def test_sentences_say_what_the_table_does(record: dict[str, Any]) -> None:
    """Differences of Rank-1, rounded as the page rounds them."""

    def rank1(system: str, distance: str = "fused") -> dict[str, float]:
        return {name: record[system][name][distance]["Rank-1"] for name in SETS}

    ours, one = rank1("ours"), rank1(ONE)
    first, second, third, whole, cut, hidden = SETS
    page = " ".join(PAGE.split())
    met = {
        x for x in SETS if all(record[ONE][x]["fused"][m] >= g for m, g in zip(METRICS, GOALS[x]))
    }
    assert met == {whole, hidden} and "one training meets two of six" in page
    dsr = rank1("DSR", "reconstruction")
    said = f"it is ahead of ours, too](results_fit.md), by {dsr[first] - ours[first]:.0f} points"
    assert said in CHOOSING
    own = {x: dsr if x == "DSR" else rank1(x) for x in OTHERS}
    best = {name: max(own[x][name] for x in OTHERS) for name in SETS}
    alone = [f"{one[name] - best[name]:.0f}" for name in (whole, cut, hidden)]
    alone += [f"{best[name] - one[name]:.0f}" for name in (first, second, third)]
    assert "ahead by {}, {} and {} points of Rank-1 on Market-1501, and".format(*alone) in page
    assert "behind by {}, {} and {} on the partial sets".format(*alone[3:]) in page
    gain = [f"{ours[name] - one[name]:.0f}" for name in (first, second, third, cut)]
    assert "the mean finds {} points more on Partial-REID, {} on the occluded".format(*gain) in page
    gain += [f"{ours[name] - one[name]:.0f}" for name in (whole, hidden)]
    words = "{} on Partial-iLIDS and {} of Market-1501's cut people, {} of its whole and {} of its"
    assert words.format(*gain[2:]) in page
    alone, before = rank1("ours", "reconstruction"), rank1(ONE, "reconstruction")
    gain = [f"{alone[name] - before[name]:.1f}" for name in (first, second, third)]
    assert "the mean is still ahead by {}, {} and {} points".format(*gain) in page
    fused = [
        [record["ours"][x]["fused"][m] - record["ours"][x]["reconstruction"][m] for x in SETS]
        for m in METRICS
    ]
    (low, high), (low_ap, high_ap) = ((-min(x), max(x)) for x in fused)
    assert f"finds {low:.1f} less to {high:.1f} more than the reconstruction alone" in page
    assert f"by mAP {low_ap:.1f} less to {high_ap:.1f} more." in page
    better = {name: alone[name] - rank1("ours", "global")[name] for name in SETS}
    rest = [better[name] for name in SETS if name != whole]
    assert f"by {better[whole]:.0f} points of Rank-1" in page
    assert f"by {min(rest):.0f} to {max(rest):.0f} elsewhere" in page


def differences(one: Callable[[str], Any], other: Callable[[str], Any]) -> dict[Any, float]:
    """By set, distance and metric, how much more one has than the other."""
    return {
        (name, distance, metric): one(name)[distance][metric] - other(name)[distance][metric]
        for name in SETS
        for distance in ("global", "reconstruction", "fused")
        for metric in ("Rank-1", "mAP")
    }


def test_what_the_third_training_adds(record: dict[str, Any]) -> None:
    gain = differences(*(record[name].__getitem__ for name in ("ours", TWO)))
    fused = "; ".join(
        f"{title} {gain[name, 'fused', 'Rank-1']:+.1f} / {gain[name, 'fused', 'mAP']:+.1f}"
        for name, title in SETS.items()
    )
    page = " ".join(PAGE.split())
    assert f'Rank-1 / mAP of ours against "{TWO}": {fused}.' in page
    queries = {"PartialREID": 300, "PartialREIDUncropped": 300, "PartialiLIDS": 119}
    moved = [abs(gain[name, "fused", "Rank-1"]) * n / 100 for name, n in queries.items()]
    assert round(max(moved)) == 4 and "by four queries at most" in page
    alone = [f"{-gain[name, 'reconstruction', 'Rank-1']:.1f}" for name in queries]
    assert "alone it is {}, {} and {} lower on them".format(*alone) in page


def test_what_was_given_up_keeps_its_rows(record: dict[str, Any]) -> None:
    assert set(BEFORE) < set(record)
    ours = (record[name]["run"]["config"]["INPUT"] for name in ("ours", *BEFORE))
    kept, two, one, *before = ours
    for keys in (kept, two, one):
        assert keys["SHRINK"]["ENABLED"] and keys["CUT"]["PROB"] == 0
    for keys in before:
        assert keys["CUT"]["PROB"] == 0.7 and not keys.get("SHRINK", {}).get("ENABLED")


def test_one_protocol_and_one_recipe(record: dict[str, Any]) -> None:
    runs = {name: parts["run"] for name, parts in record.items() if name != UPSTREAM}
    require_one_recipe(runs, longer=[LONGER])
    for name, run in runs.items():
        shrunk = run["config"]["INPUT"].get("SHRINK", {}).get("ENABLED", False)
        assert shrunk == (name in ("ours", TWO, ONE)), name
        # Means of several trainings, whose config is that of the first.
        assert ("trainings" in run) == (name in ("ours", TWO)), name
    two = runs[TWO]["trainings"]
    assert two == [{}, {"INPUT.CUT.PROB": 0.7, "SEED": 2}]
    long = {"SOLVER.DELAY_EPOCHS": 7, "SOLVER.MAX_EPOCH": 24}
    assert runs["ours"]["trainings"] == [*two, long]
    solver, longer = (dict(runs[name]["config"]["SOLVER"]) for name in ("ours", LONGER))
    changes = {key: value for key, value in longer.items() if value != solver[key]}
    assert changes == {"MAX_EPOCH": 24, "DELAY_EPOCHS": 7}
    upstream = record[UPSTREAM]["run"]["protocol"]
    assert upstream["lambda_selection"] == "oracle"
    assert upstream["shortlist"] == "global" and upstream["keep_ratio"] == "off"
