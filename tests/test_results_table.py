"""The published table is the record of its measurement, and says how it was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.results_table import (
    BEFORE,
    BY_GALLERY,
    BY_GALLERY_RESULTS,
    GOALS,
    PUBLISHED,
    RESULTS,
    SETS,
    TWO,
    by_gallery_table,
    current,
    goals_table,
    short_table,
    worse_table,
)
from partialreid.reporting.comparison import comparison_table
from tests.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "results_table.md").read_text(encoding="utf-8")
CHOOSING = " ".join((ROOT / "docs" / "choosing.md").read_text(encoding="utf-8").split())
ONE, _, LONGER = BEFORE[1:]
OTHERS = ("DSR", "FPR", "FastReID-DSR")
UPSTREAM = "FastReID-DSR, the original's checkpoint and protocol"


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def test_no_number_was_copied_by_hand(record: dict[str, Any]) -> None:
    assert short_table(current(record)) in README
    assert short_table(record) in PAGE
    for table in (goals_table, worse_table, comparison_table):
        assert table(record) in PAGE


def test_sentences_say_what_the_table_does(record: dict[str, Any]) -> None:
    """Differences of Rank-1, rounded as the pages round them."""

    def rank1(system: str, distance: str = "fused") -> dict[str, float]:
        return {name: record[system][name][distance]["Rank-1"] for name in SETS}

    ours, one = rank1("ours"), rank1(ONE)
    # DSR ranks by the reconstruction alone.
    dsr, fpr = rank1("DSR", "reconstruction"), rank1("FPR")
    first, second, third, whole, cut, hidden = SETS
    readme, page = " ".join(README.split()), " ".join(PAGE.split())
    ahead = [f"{dsr[name] - ours[name]:.0f}" for name in (first, third)]
    ahead += [f"{fpr[name] - ours[name]:.0f}" for name in (second, third)]
    assert "on the first and third, by {} and {} points, FPR on the second".format(*ahead) in readme
    assert "FPR on the second and third, by {} and {}, FastReID-DSR".format(*ahead[2:]) in readme
    assert f"occluded queries of Partial-REID FPR is {ahead[2]} points ahead" in page
    assert f"ahead of ours, too](results_table.md), by {ahead[0]} points of Rank-1" in CHOOSING
    own = {x: rank1(x, "reconstruction" if x == "DSR" else "fused") for x in OTHERS}
    better = {(x, name) for x in OTHERS for name in SETS if own[x][name] > ours[name]}
    assert better == {
        *(("DSR", name) for name in (first, third)),
        *(("FPR", name) for name in (second, third)),
        ("FastReID-DSR", first),
    }
    lead = own["FastReID-DSR"][first] - ours[first]
    assert f"FastReID-DSR on the first, by {lead:.0f}." in readme
    best = {name: max(own[x][name] for x in OTHERS) for name in SETS}
    leads = sorted(ours[name] - best[name] for name in (whole, cut, hidden))
    assert [f"{lead:.0f}" for lead in leads] == ["8", "9", "12"]
    assert "by eight to twelve points of Rank-1" in readme
    alone = [f"{one[name] - best[name]:.0f}" for name in (whole, cut, hidden)]
    alone += [f"{best[name] - one[name]:.0f}" for name in (first, second, third)]
    said = "ahead by {}, {} and {} points on Market-1501, and behind by {}, {} and {} on the"
    assert said.format(*alone) in readme
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
        for m in ("Rank-1", "mAP")
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


def test_the_two_networks_by_the_gallery(record: dict[str, Any]) -> None:
    """The same networks as in the table, each by the lambda that CUHK03-val chose for it."""
    found = json.loads(BY_GALLERY_RESULTS.read_text(encoding="utf-8"))
    assert by_gallery_table(found) in PAGE
    files = {"ours": "ours", "the original's checkpoint": "original"}
    files |= {name + BY_GALLERY: f"{file}_gallery_detail" for name, file in files.items()}
    assert set(found) == set(files)
    for name, file in files.items():
        protocol, by_gallery = found[name]["run"]["protocol"], name.endswith(BY_GALLERY)
        path = RESULTS.parent / "lambda" / f"{file}.json"
        chosen = json.loads(path.read_text(encoding="utf-8"))
        assert protocol["lambda"] == pytest.approx(chosen["lambda"])
        for one in (protocol, chosen["run"]["protocol"]):
            assert one["keep_ratio"] == ("gallery" if by_gallery else "fit")
            assert one.get("detail", 1.0) == (0.5 if by_gallery else 1.0)
    assert found["ours"]["run"]["trainings"] == record["ours"]["run"]["trainings"]
    for name in list(SETS)[:3]:
        for metric in ("Rank-1", "mAP"):
            before, now = (x["ours"][name]["fused"][metric] for x in (record, found))
            # Another machine rounds otherwise.
            assert now == pytest.approx(before, abs=0.1)
    fused = [found["ours" + BY_GALLERY][name]["fused"] for name in list(SETS)[:3]]
    cells = [f"{x['Rank-1']:.1f} / {x['mAP']:.1f}" for x in fused]
    assert "ours finds {}, {} and {} on the partial sets".format(*cells) in " ".join(README.split())
    short = [
        " / ".join(f"{goal - x[m]:.1f}" for goal, m in zip(GOALS[name], ("Rank-1", "mAP")))
        for name, x in zip(SETS, fused)
    ]
    assert "ours is short by {}, {} and {}, then.".format(*short) in " ".join(PAGE.split())


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


def test_how_long_ours_was_trained(record: dict[str, Any]) -> None:
    run = record["ours"]["run"]
    one = run["config"]["SOLVER"]["MAX_EPOCH"]
    epochs = sum(keys.get("SOLVER.MAX_EPOCH", one) for keys in run["trainings"])
    assert one == 10
    assert f"Ours has had {epochs} epochs in place of ten" in " ".join(README.split())
    assert f"Ours has had {epochs} epochs of training, the others ten" in " ".join(PAGE.split())
    assert f"All three take {epochs / one:.1f} times as long to train" in CHOOSING


def test_the_readme_has_the_recipe_that_is_kept(record: dict[str, Any]) -> None:
    """What was given up keeps its rows on the page, with the figures it had."""
    assert set(BEFORE) < set(record) and "ours" in current(record)
    assert set(current(record)) == set(record) - set(BEFORE)
    ours = (record[name]["run"]["config"]["INPUT"] for name in ("ours", *BEFORE))
    kept, two, one, *before = ours
    for keys in (kept, two, one):
        assert keys["SHRINK"]["ENABLED"] and keys["CUT"]["PROB"] == 0
    for keys in before:
        assert keys["CUT"]["PROB"] == 0.7 and not keys.get("SHRINK", {}).get("ENABLED")


def test_a_goal_is_missed_by_either_figure() -> None:
    fused = {"Rank-1": 90.0, "mAP": 76.0}
    record = {"ours": {name: {"fused": fused} for name in SETS}}
    reid, occluded = goals_table(record).splitlines()[2:4]
    assert reid == "| Partial-REID | 82.7 / 76.8 | 90.0 / 76.0 | missed by 0.0 / 0.8 |"
    assert occluded == "| Partial-REID, occluded | 82 | 90.0 | met |"
    fused["Rank-1"] = 81.97
    assert goals_table(record).splitlines()[3].endswith("| 82 | 81.97 | missed by 0.03 |")


def test_worse_is_less_rank_1_or_less_map() -> None:
    whole, better = {"Rank-1": 50.0, "mAP": 40.0}, {"Rank-1": 51.0, "mAP": 41.0}
    parts = {name: {"global": whole, "reconstruction": better} for name in SETS}
    parts["Market1501"] = {"global": whole, "reconstruction": {"Rank-1": 55.0, "mAP": 39.5}}
    (line,) = worse_table({"a system": parts}).splitlines()[2:]
    assert line == "| a system, Market-1501 | 50.0 / 40.0 | 55.0 / 39.5 | +5.0 / -0.5 |"


def test_published_figures_are_those_of_their_page() -> None:
    page = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")
    for name, figures in PUBLISHED.items():
        method = name.removeprefix("published: ")
        (line,) = [x for x in page.splitlines() if x.startswith(f"| {method} ")]
        for rank1, m_ap in (figure.split(" / ") for figure in figures):
            assert f"{rank1} ({m_ap})" in line


def test_one_protocol_and_one_recipe(record: dict[str, Any]) -> None:
    """Rows differ in their method: not in protocol, schedule, backbone, data or seed.

    Of a mean of trainings it is the config of the first that counts.
    """
    ours = [parts["run"] for name, parts in record.items() if name != UPSTREAM]
    assert len(ours) >= 2
    shared = {
        *("MODEL.BACKBONE.NAME", "MODEL.BACKBONE.DEPTH", "MODEL.BACKBONE.WITH_IBN"),
        *("SOLVER", "DATASETS.NAMES", "DATASETS.HELD_OUT", "SEED"),
        # Its SIZE is of small queries, which are in no row.
        *(f"DATASETS.DERIVED.{key}" for key in ("KIND", "PERCENT", "SHARE", "SIDES")),
        *("INPUT.SIZE_TEST", "INPUT.KEEP_RATIO", "INPUT.CJ", "INPUT.REA"),
    }
    for run in ours:
        protocol = run["protocol"]
        assert protocol["lambda_selection"] == "fixed" and protocol["cameras"] == "constant"
        assert protocol["gallery"] == "full"
        assert protocol["squared"] == (run is record["FPR"]["run"])
        for key in shared - ({"SOLVER"} if run is record[LONGER]["run"] else set()):
            assert at(run["config"], key) == at(ours[0]["config"], key), key
    # What the page names as parts of the methods.
    for name, parts in record.items():
        images = parts["run"]["config"]["INPUT"]
        with_masks = name == "FPR" or name.startswith("ours")
        assert images["OCCLUSION"]["ENABLED"] == with_masks, name
        assert images.get("SHRINK", {}).get("ENABLED", False) == (name in ("ours", TWO, ONE)), name
        # Means of several trainings, whose config is that of the first.
        assert ("trainings" in parts["run"]) == (name in ("ours", TWO)), name
    two = record[TWO]["run"]["trainings"]
    assert two == [{}, {"INPUT.CUT.PROB": 0.7, "SEED": 2}]
    long = {"SOLVER.DELAY_EPOCHS": 7, "SOLVER.MAX_EPOCH": 24}
    assert record["ours"]["run"]["trainings"] == [*two, long]
    solver, longer = (dict(run["config"]["SOLVER"]) for run in (ours[0], record[LONGER]["run"]))
    changes = {key: value for key, value in longer.items() if value != solver[key]}
    assert changes == {"MAX_EPOCH": 24, "DELAY_EPOCHS": 7}
    upstream = record[UPSTREAM]["run"]["protocol"]
    assert upstream["lambda_selection"] == "oracle"
    assert upstream["shortlist"] == "global" and upstream["keep_ratio"] == "off"


def test_it_tells_of_no_machine_but_its_kind(record: dict[str, Any]) -> None:
    for parts in record.values():
        config = parts["run"]["config"]
        assert not config["MODEL"]["WEIGHTS"].startswith("/")
        assert not config["OUTPUT_DIR"].startswith("/") and not config["DATASETS"]["ROOT"]


def at(config: dict[str, Any], key: str) -> Any:
    """The value, or the node, of a config under a key with dots."""
    for name in key.split("."):
        config = config[name]
    return config
