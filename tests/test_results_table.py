"""The published table is the record of its measurement, and says how it was measured."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.results_table import (
    BY_GALLERY,
    BY_GALLERY_RESULTS,
    PUBLISHED,
    RELEASED_RESULTS,
    RESULTS,
    SETS,
    TO_FIT_RESULTS,
    against_table,
    by_gallery_table,
    goals_table,
    of_gallery,
    read,
    rows_of,
    short_table,
    worse_table,
)
from partialreid.reporting.comparison import comparison_table
from tests.paths import ROOT
from tests.results_rows import require_one_recipe

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "results_table.md").read_text(encoding="utf-8")
CHOOSING = " ".join((ROOT / "docs" / "choosing.md").read_text(encoding="utf-8").split())
METRICS = ("Rank-1", "mAP")
ORIGINAL = "the original's checkpoint"
# By which file each system has its lambda; DSR ranks by none.
LAMBDAS = {
    "ours": "ours",
    "ours" + BY_GALLERY: "ours_gallery_detail",
    ORIGINAL: "original",
    ORIGINAL + BY_GALLERY: "original_gallery_detail",
    # Of the training of this page; "fpr" is of the one before.
    "FPR": "fpr_again",
    "FPR" + BY_GALLERY: "fpr_again_gallery_detail",
}


@pytest.fixture(scope="module")
def both() -> dict[str, Any]:
    """Each system to fit and by the gallery."""
    return read(BY_GALLERY_RESULTS)


@pytest.fixture(scope="module")
def record(both: dict[str, Any]) -> dict[str, Any]:
    return of_gallery(both)


def test_no_number_was_copied_by_hand(both: dict[str, Any], record: dict[str, Any]) -> None:
    table = short_table(rows_of(both, read(TO_FIT_RESULTS)))
    assert table in README and table in PAGE
    assert goals_table(read(RELEASED_RESULTS)) in PAGE
    assert against_table(record) in PAGE and comparison_table(record) in PAGE
    # Of no system on no set.
    assert len(worse_table(record).splitlines()) == 2
    assert "On none of these sets, by no system, by neither metric." in PAGE
    assert by_gallery_table(both) in PAGE


def test_sentences_say_what_the_table_does(both: dict[str, Any], record: dict[str, Any]) -> None:
    """Who finds most, and by how much, rounded as the pages round."""
    first, second, third = list(SETS)[:3]

    def own(system: str, name: str) -> dict[str, float]:
        found: dict[str, float] = record[system][name][
            record[system]["run"]["protocol"]["distance"]
        ]
        return found

    best = {
        (name, m): max(record, key=lambda x: own(x, name)[m])
        for name in (first, second, third)
        for m in METRICS
    }
    assert best.pop((first, "Rank-1")) == "DSR" and set(best.values()) == {"ours"}
    more, less = (own("DSR", first)[m] - own("ours", first)[m] for m in METRICS)
    readme, page = " ".join(README.split()), " ".join(PAGE.split())
    assert f"by Rank-1 DSR has {more:.1f} more there" in readme
    assert f"DSR has {more:.1f} more of Rank-1" in page and f"and {-less:.1f} less of mAP" in page
    before = read(TO_FIT_RESULTS)["FPR"][second]["fused"]
    cells = "{:.1f} / {:.1f}"
    assert f"config found {cells.format(*(before[m] for m in METRICS))}, more than ours" in readme
    assert all(before[m] > own("ours", second)[m] for m in METRICS)
    again = both["FPR"][second]["fused"]
    assert f"it finds {cells.format(*(again[m] for m in METRICS))} to fit" in page
    assert f"it finds {cells.format(*(again[m] for m in METRICS))} of the occluded" in readme
    assert f"differs by {before['Rank-1'] - again['Rank-1']:.0f} points of Rank-1" in page
    gains = [
        both[x + BY_GALLERY][first][d]["Rank-1"] - both[x][first][d]["Rank-1"]
        for x, d in (
            (ORIGINAL, "fused"),
            ("DSR", "reconstruction"),
            ("FPR", "fused"),
            ("ours", "fused"),
        )
    ]
    assert f"{min(gains):.0f} to {max(gains):.0f} points of Rank-1. The others" in page
    lost = [
        both["FPR"][name]["fused"]["mAP"] - both["FPR" + BY_GALLERY][name]["fused"]["mAP"]
        for name in (second, third)
    ]
    best = cells.format(*(again[m] for m in METRICS))
    assert f"FPR finds {best} by its better column" in page
    assert "FPR loses {:.1f} of mAP on these and {:.1f} on Partial-iLIDS".format(*lost) in page
    # Whether the interval of a difference has 0 in it.
    of_set = {row[0]: dict(zip(record, row[1:])) for row in rows_against(record)}
    rank1, m_ap = (of_set[SETS[first]]["DSR"].split(" / ")[i] for i in (0, 1))
    assert "(-" in rank1 and "to +" in rank1 and "to -" in m_ap


def rows_against(record: dict[str, Any]) -> list[list[str]]:
    lines = against_table(record).splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_each_has_the_lambda_that_validation_chose(both: dict[str, Any]) -> None:
    """Of the same people for all, by the protocol that it is used with."""
    dsr = ("DSR", "DSR" + BY_GALLERY)
    assert set(both) == {*LAMBDAS, *dsr}
    people = None
    for name, file in LAMBDAS.items():
        chosen, protocol = read(RESULTS / "lambda" / f"{file}.json"), both[name]["run"]["protocol"]
        assert protocol["lambda"] == pytest.approx(chosen["lambda"])
        assert protocol["lambda_selection"] == "fixed" and protocol["distance"] == "fused"
        by_gallery = name.endswith(BY_GALLERY)
        for one in (protocol, chosen["run"]["protocol"]):
            assert one["keep_ratio"] == ("gallery" if by_gallery else "fit")
            assert one.get("detail", 1.0) == (0.5 if by_gallery else 1.0)
            assert one.get("keep_ratio_whole", 0.0) == 0
        asked = {name: sorted(of["identities"]) for name, of in chosen["queries"].items()}
        people = people or asked
        assert asked == people and len(asked) == 8
    for name in dsr:
        assert both[name]["run"]["protocol"]["distance"] == "reconstruction"


def test_one_recipe(both: dict[str, Any]) -> None:
    """Rows differ in their method; the original's checkpoint was trained elsewhere."""
    runs = {name: parts["run"] for name, parts in both.items() if ORIGINAL not in name}
    for kind in ("gallery", "fit"):
        require_one_recipe({x: r for x, r in runs.items() if r["protocol"]["keep_ratio"] == kind})
    fit = read(TO_FIT_RESULTS)
    assert both["ours"]["run"]["trainings"] == fit["ours"]["run"]["trainings"]


def test_ours_was_measured_alike_before(both: dict[str, Any]) -> None:
    fit = read(TO_FIT_RESULTS)
    for name in list(SETS)[:3]:
        for metric in ("Rank-1", "mAP"):
            before, now = (x["ours"][name]["fused"][metric] for x in (fit, both))
            # Another machine rounds otherwise.
            assert now == pytest.approx(before, abs=0.1)


def test_how_long_ours_was_trained(record: dict[str, Any]) -> None:
    run = record["ours"]["run"]
    one = run["config"]["SOLVER"]["MAX_EPOCH"]
    epochs = sum(keys.get("SOLVER.MAX_EPOCH", one) for keys in run["trainings"])
    assert one == 10
    assert f"Ours has had {epochs} epochs in place of ten" in " ".join(README.split())
    assert f"Ours has had {epochs} epochs of training, the others ten" in " ".join(PAGE.split())
    assert f"All three take {epochs / one:.1f} times as long to train" in CHOOSING


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


def test_a_table_has_the_sets_that_all_rows_have() -> None:
    def parts(*names: str) -> dict[str, Any]:
        run = {"protocol": {"distance": "fused"}}
        return {"run": run, **{x: {"fused": {"Rank-1": 50.0, "mAP": 40.0}} for x in names}}

    table = short_table({"one": parts("PartialREID"), "other": parts("PartialREID", "Market1501")})
    title, _, first, *_, last = table.splitlines()
    assert title == "| | Partial-REID |" and first == "| one | **50.0 / 40.0** |"
    assert last == "| *published: FastReID-DSR* | *82.7 / 76.8* |"


def test_published_figures_are_those_of_their_page() -> None:
    page = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")
    for name, figures in PUBLISHED.items():
        method = name.removeprefix("published: ")
        (line,) = [x for x in page.splitlines() if x.startswith(f"| {method} ")]
        for rank1, m_ap in (figure.split(" / ") for figure in figures):
            assert f"{rank1} ({m_ap})" in line


@pytest.mark.parametrize("path", [BY_GALLERY_RESULTS, TO_FIT_RESULTS, RELEASED_RESULTS])
def test_it_tells_of_no_machine_but_its_kind(path: Any) -> None:
    for parts in read(path).values():
        config = parts["run"]["config"]
        assert not config["MODEL"]["WEIGHTS"].startswith("/")
        assert not config["OUTPUT_DIR"].startswith("/") and not config["DATASETS"]["ROOT"]
