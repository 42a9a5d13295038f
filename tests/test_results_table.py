"""The published table is the record of its measurement, and says how it was measured."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import chosen_lambdas
from benchmarks.results_table import (
    BY_GALLERY_RESULTS,
    GALLERY,
    LAMBDAS,
    MEAN_OF_OTHERS,
    MEAN_OF_OTHERS_RESULTS,
    ONE,
    PUBLISHED,
    RESULTS,
    SAME_TO_FIT_RESULTS,
    SETS,
    TO_FIT_RESULTS,
    UNKNOWN_CAMERAS,
    UPSTREAM,
    against_table,
    by_gallery_table,
    goals_table,
    lambdas_by_gallery,
    mean_of_others_table,
    on_all_sets,
    read,
    rows_of,
    short_table,
    unknown_cameras_table,
    worse_table,
)
from partialreid.reporting.comparison import comparison_table
from tests.paths import ROOT
from tests.results_rows import require_one_recipe

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "results_table.md").read_text(encoding="utf-8")
CHOOSING = " ".join((ROOT / "docs" / "choosing.md").read_text(encoding="utf-8").split())
WORDS, README_WORDS = (" ".join(text.split()) for text in (PAGE, README))
METRICS = ("Rank-1", "mAP")
ORIGINAL = "the original's checkpoint"
# The systems that ours is beside.
OTHERS = ("DSR", "FPR", "FastReID-DSR")


@pytest.fixture(scope="module")
def by_gallery() -> dict[str, Any]:
    """Each network by the gallery."""
    return read(BY_GALLERY_RESULTS)


@pytest.fixture(scope="module")
def record(by_gallery: dict[str, Any]) -> dict[str, Any]:
    """The rows of the table but the first."""
    return on_all_sets(by_gallery)


@pytest.fixture(scope="module")
def same() -> dict[str, Any]:
    """The same networks to fit."""
    return read(SAME_TO_FIT_RESULTS)


def test_no_number_was_copied_by_hand(
    by_gallery: dict[str, Any], record: dict[str, Any], same: dict[str, Any]
) -> None:
    rows = rows_of(record, read(TO_FIT_RESULTS))
    assert short_table(rows) in README
    assert all(made(rows) in PAGE for made in (short_table, worse_table, comparison_table))
    assert all(made(record) in PAGE for made in (goals_table, against_table))
    assert unknown_cameras_table(lambdas_by_gallery()) in PAGE
    assert mean_of_others_table(by_gallery, read(MEAN_OF_OTHERS_RESULTS)) in PAGE
    assert by_gallery_table(by_gallery, same) in PAGE


def own(parts: dict[str, Any], name: str) -> dict[str, float]:
    """What a system finds on a set by the distance that it ranks by."""
    found: dict[str, float] = parts[name][parts["run"]["protocol"]["distance"]]
    return found


def both(found: dict[str, float]) -> str:
    return "{:.1f} / {:.1f}".format(*(found[m] for m in METRICS))


def is_told(difference: str) -> bool:
    """Whether the interval of a difference tells it from none."""
    low, high = map(float, difference.partition("(")[2].rstrip(")").split(" to "))
    return low > 0 or high < 0


def cells_of(table: str) -> list[list[str]]:
    """The rows of a table below its titles."""
    return [[cell.strip() for cell in x.split("|")[1:-1]] for x in table.splitlines()[2:]]


def gains_of_all(before: str, after: str) -> list[str]:
    """Of all queries between two cameras, and of those within one, Rank-1 with its interval."""
    files = [str(RESULTS / "lambda" / f"{name}.json") for name in (before, after)]
    rows = cells_of(chosen_lambdas.table(files))
    return [row[2].split("; ")[1].split(" / ")[0] for row in rows if row[0].endswith(", all")]


def test_sentences_say_who_finds_most(record: dict[str, Any]) -> None:
    """And by how much, rounded as the pages round."""
    first, _, _, *market = SETS
    assert tuple(name for name in record if not name.startswith("ours")) == (ORIGINAL, *OTHERS)
    lead = {
        (name, m): own(record["ours"], name)[m] - max(own(record[x], name)[m] for x in OTHERS)
        for name in SETS
        for m in METRICS
    }
    assert {at for at, value in lead.items() if value < 0} == {(first, "Rank-1")}
    more, less = (own(record["DSR"], first)[m] - own(record["ours"], first)[m] for m in METRICS)
    assert more == -lead[first, "Rank-1"]
    assert f"and of Partial-REID by mAP; by Rank-1 DSR has {more:.1f} more there" in README_WORDS
    assert f"DSR has {more:.1f} more of Rank-1" in WORDS and f"and {-less:.1f} less of mAP" in WORDS
    leads = [lead[name, "Rank-1"] for name in market]
    said = f"by {min(leads):.0f} to {max(leads):.0f} points of Rank-1"
    assert f"{said} more than the best of DSR, FPR and FastReID-DSR" in README_WORDS
    assert f"ahead of the best of DSR, FPR and FastReID-DSR {said}" in WORDS


def test_sentences_say_what_intervals_tell_apart(record: dict[str, Any]) -> None:
    """Those of the differences, on the partial sets, that do not have 0 in them."""
    apart: dict[str, dict[str, list[str]]] = {m: {} for m in METRICS}
    for title, *cells in cells_of(
        against_table({name: record[name] for name in (*OTHERS, "ours")})
    ):
        for other, cell in zip(OTHERS, cells, strict=True):
            for metric, difference in zip(METRICS, cell.split(" / "), strict=True):
                if is_told(difference):
                    apart[metric].setdefault(title, []).append(other)
    reid, occluded, ilids, *market = SETS.values()
    for metric in METRICS:
        assert all(apart[metric].pop(title) == list(OTHERS) for title in market)
    assert apart["Rank-1"] == {reid: ["FPR"], occluded: ["DSR", "FastReID-DSR"]}
    assert apart["mAP"] == {reid: ["DSR", "FPR"], occluded: list(OTHERS), ilids: ["FPR"]}
    assert (
        f"by Rank-1 from FPR on {reid} and from DSR and FastReID-DSR on the occluded queries, and "
        f"by mAP from all three on the occluded queries, from DSR and FPR on {reid} and from FPR "
        f"on {ilids}."
    ) in WORDS
    assert (
        f"Intervals of Rank-1 do not tell ours from DSR and FastReID-DSR on {reid}, from FPR on "
        f"the occluded queries, and from any of the three on {ilids}."
    ) in README_WORDS


def test_sentences_say_what_the_originals_checkpoint_finds(record: dict[str, Any]) -> None:
    """By the protocol of all rows but the first, beside which it stands."""
    against = {x: cells_of(against_table(record, x)) for x in ("FPR", ONE, "ours")}
    column = [*record].index(ORIGINAL) + 1
    gains = {x: [row[column].split(" / ")[0] for row in rows] for x, rows in against.items()}
    assert f"is ahead of FPR by {gains['FPR'][0][1:]} and of" in WORDS
    assert f'"ours, one training" by {gains[ONE][0][1:]}, though' in WORDS
    assert all(gain.startswith("-") for gain in gains["ours"])
    reid = SETS["PartialREID"]
    said = f"finds more people of {reid} than FPR and one training of ours; ours finds more on all"
    assert said in README_WORDS
    assert gains["FPR"][0].startswith("+") and gains[ONE][0].startswith("+")
    first = read(TO_FIT_RESULTS)[UPSTREAM]
    moved = [
        own(record[ORIGINAL], name)["Rank-1"] - own(first, name)["Rank-1"]
        for name in list(SETS)[:2]
    ]
    said = (
        f"gains {moved[0]:.0f} points of Rank-1 on {reid} by the protocol of this page, and loses"
    )
    assert f"{said} {-moved[1]:.0f} of the occluded queries" in WORDS


def test_sentences_say_what_the_mean_of_others_finds(record: dict[str, Any]) -> None:
    mean = read(MEAN_OF_OTHERS_RESULTS)[MEAN_OF_OTHERS]
    partial, market = list(SETS)[:3], list(SETS)[3:]
    found = [both(own(mean, name)) for name in partial]
    assert "finds {}, {} and {} there, which no interval".format(*found) in README_WORDS
    rows = cells_of(against_table({"ours": record["ours"], MEAN_OF_OTHERS: mean}))
    rank1, m_ap = ([row[1].split(" / ")[i] for row in rows] for i in (0, 1))
    assert f"finds {rank1[0]} more than ours, and more than any row of the table;" in WORDS
    assert f"of the occluded queries {rank1[1]} and of Partial-iLIDS {rank1[2]}." in WORDS
    assert own(mean, partial[0])["Rank-1"] > max(
        own(x, partial[0])["Rank-1"] for x in record.values()
    )
    assert [is_told(gain) for gain in rank1] == [False] * 3 + [True] * 3
    assert [is_told(gain) for gain in m_ap[:3]] == [False, True, False]
    low, high = m_ap[1].partition("(")[2].rstrip(")").split(" to ")
    said = f"by {m_ap[1].split()[0][1:]} ({high[1:]} to {low[1:]}), and on the other two"
    assert said in WORDS
    ahead = [own(record["ours"], x)["Rank-1"] - own(mean, x)["Rank-1"] for x in market]
    assert "ours is ahead by {:.0f}, {:.0f} and {:.0f} points. So".format(*ahead) in WORDS
    lost = own(record["FPR"], market[2])["Rank-1"] - own(mean, market[2])["Rank-1"]
    assert f"less often than by FPR, by {lost:.0f} points" in WORDS
    two, one = gains_of_all(f"fpr_again{GALLERY}", f"mean_of_others{GALLERY}")
    said = f"the mean finds {two} of Rank-1 more than FPR between two cameras, and {one} within one"
    assert said in WORDS
    two, one = gains_of_all(f"fastreid_dsr_again{GALLERY}", f"mean_of_others{GALLERY}")
    assert f"more than FastReID-DSR {two} and {one}." in WORDS
    two, one = gains_of_all(f"mean_of_others{GALLERY}", f"ours{GALLERY}")
    assert f"They put ours ahead of it by {two} and {one}, which" in WORDS
    run, chosen = mean["run"], read(RESULTS / "lambda" / f"mean_of_others{GALLERY}.json")
    assert run["protocol"]["lambda"] == pytest.approx(chosen["lambda"])
    # Of the two rows of the table, by the protocol of both.
    different = {"INPUT.OCCLUSION.ENABLED": False, "MODEL.META_ARCHITECTURE": "PartialBaseline"}
    assert run["trainings"] == chosen["run"]["trainings"] == [{}, different]
    for key, value in record["FPR"]["run"]["protocol"].items():
        assert key == "lambda" or run["protocol"][key] == value


def test_sentences_say_what_another_training_finds(
    record: dict[str, Any], same: dict[str, Any]
) -> None:
    """By the same config; its lambda is another one."""
    fit, partial = read(TO_FIT_RESULTS), list(SETS)[:3]
    moved = [
        fit[x][name]["reconstruction"]["Rank-1"] - same[x][name]["reconstruction"]["Rank-1"]
        for x in OTHERS
        for name in partial
    ]
    (more,) = (x for x in moved if x < 0)
    moved.remove(more)
    assert f"finds {min(moved):.1f} to {max(moved):.1f} points of Rank-1 less than the" in WORDS
    assert f"in one case of nine more (DSR, occluded queries, {-more:.1f})" in WORDS
    before, again = (rows["FPR"][partial[1]] for rows in (fit, same))
    first, second, alone = map(both, (before["fused"], again["fused"], before["reconstruction"]))
    assert f"with {first}; the second training finds {second} there" in WORDS
    assert same["FPR"]["run"]["protocol"]["lambda"] == 1 and f"({alone} at 1.00" in WORDS
    assert f"config found {first} in that way, more than ours" in README_WORDS
    assert all(before["fused"][m] > own(record["ours"], partial[1])[m] for m in METRICS)
    assert f"{second}, and another" in README_WORDS
    by = before["fused"]["Rank-1"] - again["fused"]["Rank-1"]
    assert f"differs by {by:.0f} points of Rank-1" in WORDS


def test_the_command_to_fit_has_the_lambdas_of_its_record(same: dict[str, Any]) -> None:
    said = [f"{parts['run']['protocol']['lambda']:.2f} for {name}" for name, parts in same.items()]
    assert f"lambda is {', '.join(said[:-1])} and {said[-1]}:" in WORDS


def test_sentences_say_what_the_proportions_give(
    by_gallery: dict[str, Any], same: dict[str, Any]
) -> None:
    first, second, third = list(SETS)[:3]
    gains = [own(by_gallery[x], first)["Rank-1"] - own(same[x], first)["Rank-1"] for x in same]
    said = f"by all five, {min(gains):.0f} to {max(gains):.0f} points of Rank-1, by four of them"
    assert said in WORDS
    rows = {row[0]: row[-1] for row in cells_of(by_gallery_table(by_gallery, same))}
    alone = [rows[f"{name}, {SETS[first]}"].split(" / ")[0] for name in same]
    assert sum("(-" in gain for gain in alone) == 1
    lost = [
        own(same["FPR"], name)["mAP"] - own(by_gallery["FPR"], name)["mAP"]
        for name in (second, third)
    ]
    assert f"FPR finds {both(own(same['FPR'], second))} by its better column" in WORDS
    said = "FPR loses {:.1f} of mAP on these, and perhaps {:.1f} on Partial-iLIDS".format(*lost)
    assert said in WORDS
    both_ways = {
        "they change the Rank-1 of the original's by {} of all queries between two cameras, and "
        "by {} within one": ("original_detail_0.5", "original"),
        "both together change ours by {} between two cameras and {} within one": ("ours",) * 2,
        "FPR by {} and {},": ("fpr_again",) * 2,
        "FastReID-DSR by {} and {}.": ("fastreid_dsr_again",) * 2,
    }
    for words, (before, after) in both_ways.items():
        assert words.format(*gains_of_all(before, f"{after}{GALLERY}")) in WORDS


def test_sentences_say_where_reconstruction_is_worse(record: dict[str, Any]) -> None:
    titles = [title for name, title in SETS.items() if name.startswith("Market")]
    for line in worse_table(rows_of(record, read(TO_FIT_RESULTS))).splitlines()[2:]:
        row = line.split(" | ")[0].removeprefix("| ")
        assert row.endswith(tuple(f", {title}" for title in titles))
        assert not row.startswith("ours")
    assert "On none of the partial sets, by no system, by neither metric." in WORDS
    assert "the reconstruction is above the global distance on all six sets" in WORDS
    # Of whole people of other cameras it finds more by every system, by either metric.
    whole = [*lambdas_by_gallery().values(), read(RESULTS / "lambda" / "dsr.json")]
    curves = [record["curves"].get(people) for record in whole for people in UNKNOWN_CAMERAS]
    assert len([curve for curve in curves if curve]) == 2 * len(LAMBDAS) + 1
    assert all(curve[m][-1] > curve[m][0] for curve in curves if curve for m in METRICS)


@pytest.mark.parametrize(("fixture", "ending"), [("by_gallery", GALLERY), ("same", "")])
def test_each_has_the_lambda_that_validation_chose(
    request: pytest.FixtureRequest, fixture: str, ending: str
) -> None:
    """Of the same people for all, by the protocol that it is used with."""
    rows = request.getfixturevalue(fixture)
    files = {name: file for name, file in LAMBDAS.items() if ending or name != ONE}
    assert set(rows) == {*files, "DSR"}
    dsr = rows["DSR"]["run"]["protocol"]
    assert dsr["distance"] == "reconstruction"
    # Its fused distance, by which it does not rank: that of its first training, to fit.
    assert dsr["lambda"] == pytest.approx(read(RESULTS / "lambda" / "dsr.json")["lambda"])
    people = None
    for name, file in files.items():
        chosen = read(RESULTS / "lambda" / f"{file}{ending}.json")
        protocol = rows[name]["run"]["protocol"]
        assert protocol["lambda"] == pytest.approx(chosen["lambda"])
        assert protocol["lambda_selection"] == "fixed" and protocol["distance"] == "fused"
        for one in (protocol, chosen["run"]["protocol"]):
            assert one["keep_ratio"] == ("gallery" if ending else "fit")
            assert one.get("detail", 1.0) == (0.5 if ending else 1.0)
            assert one.get("keep_ratio_whole", 0.0) == 0
        asked = {name: sorted(of["identities"]) for name, of in chosen["queries"].items()}
        people = people or asked
        assert asked == people and len(asked) == 8


def test_one_recipe(by_gallery: dict[str, Any], same: dict[str, Any]) -> None:
    """Rows differ in their method; the original's checkpoint was trained elsewhere."""
    for rows in (by_gallery, same):
        require_one_recipe({x: rows[x]["run"] for x in rows if x != ORIGINAL})
    trainings = read(TO_FIT_RESULTS)["ours"]["run"]["trainings"]
    assert all(rows["ours"]["run"]["trainings"] == trainings for rows in (by_gallery, same))


def test_ours_was_measured_alike_before(same: dict[str, Any]) -> None:
    fit = read(TO_FIT_RESULTS)
    for name in list(SETS)[:3]:
        for metric in METRICS:
            before, now = (x["ours"][name]["fused"][metric] for x in (fit, same))
            # Another machine rounds otherwise.
            assert now == pytest.approx(before, abs=0.1)


def test_sentences_say_what_one_training_finds(record: dict[str, Any]) -> None:
    """Of ours, beside the best of the three other systems."""
    lead = [
        own(record[ONE], name)["Rank-1"] - max(own(record[x], name)["Rank-1"] for x in OTHERS)
        for name in SETS
    ]
    first, second, third, *market = (f"{abs(x):.0f}" for x in lead)
    said = (
        f"ahead by {', '.join(market[:2])} and {market[2]} points of Rank-1 on Market-1501",
        f"behind by {first}, {second} and {third} on the partial sets",
    )
    assert all(x < 0 for x in lead[:3]) and all(x > 0 for x in lead[3:])
    best = ("DSR", "FPR", "DSR")
    told = [
        next(
            row[1].split(" / ")[0]
            for row in cells_of(against_table({x: record[x] for x in (ONE, other)}, other))
            if row[0] == SETS[name]
        )
        for name, other in zip(SETS, best, strict=False)
    ]
    assert "Partial-REID {}, occluded {}, Partial-iLIDS {}, of".format(*told) in WORDS
    assert ["+" in difference for difference in told] == [False, True, True]
    assert all(x in README_WORDS and x in WORDS.replace(" (whole, cut, hidden)", "") for x in said)
    m_ap = max(own(record[x], "PartialREIDUncropped")["mAP"] for x in OTHERS)
    assert own(record[ONE], "PartialREIDUncropped")["mAP"] > m_ap
    assert "by mAP it is ahead of all three on the occluded queries" in WORDS
    run = record[ONE]["run"]
    assert "trainings" not in run and run["config"]["INPUT"]["SHRINK"]["ENABLED"]
    assert run["config"]["INPUT"]["CUT"]["PROB"] == 0


def test_how_long_ours_was_trained(record: dict[str, Any]) -> None:
    run = record["ours"]["run"]
    one = run["config"]["SOLVER"]["MAX_EPOCH"]
    epochs = sum(keys.get("SOLVER.MAX_EPOCH", one) for keys in run["trainings"])
    assert one == 10
    assert f"Ours has had {epochs} epochs in place of ten" in README_WORDS
    assert f"Ours has had {epochs} epochs of training, the others ten" in WORDS
    assert f"All three take {epochs / one:.1f} times as long to train" in CHOOSING


def test_a_goal_is_missed_by_either_figure() -> None:
    fused = {"Rank-1": 90.0, "mAP": 76.0}
    met = {name: {"fused": {"Rank-1": 99.0, "mAP": 99.0}} for name in SETS}
    record = {"ours": {name: {"fused": fused} for name in SETS}, ONE: met}
    reid, occluded = goals_table(record).splitlines()[2:4]
    assert reid.startswith("| Partial-REID | 82.7 / 76.8 | 90.0 / 76.0 | missed by 0.0 / 0.8 |")
    assert reid.endswith("| 99.0 / 99.0 | met |")
    assert occluded == "| Partial-REID, occluded | 82 | 90.0 | met | 99.0 | met |"
    fused["Rank-1"] = 81.97
    assert "| 82 | 81.97 | missed by 0.03 |" in goals_table(record).splitlines()[3]


def test_worse_is_less_rank_1_or_less_map() -> None:
    whole, better = {"Rank-1": 50.0, "mAP": 40.0}, {"Rank-1": 51.0, "mAP": 41.0}
    parts = {name: {"global": whole, "reconstruction": better} for name in SETS}
    parts["Market1501"] = {"global": whole, "reconstruction": {"Rank-1": 55.0, "mAP": 39.5}}
    (line,) = worse_table({"a system": parts}).splitlines()[2:]
    assert line == "| a system, Market-1501 | 50.0 / 40.0 | 55.0 / 39.5 | +5.0 / -0.5 |"


def test_a_system_without_all_sets_has_no_row() -> None:
    whole: dict[str, Any] = {name: {} for name in (*SETS, "run")}
    part = {name: {} for name in ("PartialREID", "run")}
    assert on_all_sets({"one": whole, "other": part}) == {"one": whole}


def test_published_figures_are_those_of_their_page() -> None:
    page = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")
    for name, figures in PUBLISHED.items():
        method = name.removeprefix("published: ")
        (line,) = [x for x in page.splitlines() if x.startswith(f"| {method} ")]
        for rank1, m_ap in (figure.split(" / ") for figure in figures):
            assert f"{rank1} ({m_ap})" in line


@pytest.mark.parametrize(
    "path", [BY_GALLERY_RESULTS, SAME_TO_FIT_RESULTS, MEAN_OF_OTHERS_RESULTS, TO_FIT_RESULTS]
)
def test_it_tells_of_no_machine_but_its_kind(path: Any) -> None:
    for parts in read(path).values():
        config = parts["run"]["config"]
        assert not config["MODEL"]["WEIGHTS"].startswith("/")
        assert not config["OUTPUT_DIR"].startswith("/") and not config["DATASETS"]["ROOT"]
