"""Several systems in one table and one picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from partialreid.derived.dataset import SUFFIXES
from partialreid.reporting.comparison import cmc_panels, comparison_table, earlier_systems
from partialreid.reporting.comparison_differences import difference_table
from partialreid.reporting.same_queries import OF_DERIVED
from tests.made_up_reports import report, saved


def test_best_is_bold_and_losses_are_said() -> None:
    record = {
        "A": {"Set": report({"global": 40.0, "reconstruction": 35.0, "fused": 42.0}), "run": {}},
        "B": {"Set": report({"global": 50.0, "reconstruction": 61.5, "fused": 60.0}), "run": {}},
    }
    lines = [x for x in comparison_table(record).splitlines() if x.startswith("| Set")]
    assert len(lines) == 6
    assert [("**" in line) for line in lines] == [False, False, False, False, True, False]
    assert "**61.50**" in lines[4]
    assert "**30.75**" in lines[4]
    assert [("below global" in line) for line in lines] == [False, True, False] + [False] * 3
    assert " 12 |" in lines[1]


def test_the_oracle_stands_beside_the_cross_fitted_lambda() -> None:
    one = report({"global": 40.0, "reconstruction": 35.0, "fused": 42.0})
    oracle = {"lambda": 0.3, "Rank-1": 43.0, "mAP": 21.0}
    one |= {"lambda_selection": "crossfit", "lambdas": [0.2, 0.4], "oracle": oracle}
    lines = comparison_table({"A": {"Set": one, "run": {}}}).splitlines()[2:]
    assert "fused, lambda 0.20 and 0.40 (cross-fitted)" in lines[2]
    assert "**42.00**" in lines[2]
    assert "lambda 0.30 (oracle: chosen on this test set)" in lines[3]
    assert "43.00" in lines[3]
    assert "**" not in lines[3]


def found(rank1: list[float], identities: list[int], **changes: object) -> dict:
    """A test set with what each query found by the fused distance."""
    queries = {"identities": identities, "Rank-1": rank1, "mAP": [x / 2 for x in rank1]}
    means = dict.fromkeys(("global", "fused"), 50.0)
    return {**report(means), "selected": "fused", "queries": queries, **changes}


SAME = "+0.0 / +0.0"


def test_differences_are_from_the_first_system() -> None:
    people = [1, 1, 2, 2]
    run = {"protocol": {"bootstrap_rounds": 200, "protocol_seed": 0, "cameras": "constant"}}
    first = {"X": found([100, 0, 0, 0], people), "Y": found([0] * 4, people), "run": run}
    second = {
        "X": found([0, 100, 100, 0], [2, 1, 1, 2], selected="reconstruction"),
        "Y": found([0] * 4, [1, 1, 2, 3]),
        "run": run,
    }
    without = {"X": report({"global": 40.0}) | {"selected": "global"}, "Y": first["Y"], "run": run}
    systems = {"A": first, "B": second, "older": without}
    lines = difference_table(systems).splitlines()
    assert lines[0].startswith("Differences from the first system")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:]]
    assert "first system, A, each" in lines[0]
    # B finds one query of the first person more, whose queries stand elsewhere.
    assert rows[0][:3] == ["X", "B", "reconstruction"]
    assert rows[0][3] == "+25.0 (+0.0 to +50.0) / +12.5 (+0.0 to +25.0)"
    assert rows[1] == ["Y", "B", "fused, lambda 0.80", "other queries"]
    # Of an older record there is nothing to say, and where it is the first nothing at all.
    assert [row[1] for row in rows] == ["B", "B", "older"]
    assert difference_table({"A": first}) == ""
    older = {"A": {"X": without["X"], "run": {}}, "B": {"X": first["X"], "run": {}}}
    assert difference_table(older).startswith("There are no differences from the first system, A")
    assert difference_table({"A": older["A"], "B": older["A"]}) == ""


@pytest.mark.parametrize(
    ("test", "changes", "said"),
    [
        ("X", {"cameras": "filename"}, "other queries (cameras)"),
        ("XPartial", {"derived_seed": 5}, "other queries (derived_seed)"),
        ("XPartial", {"derived": {"SIDES": "any"}}, "other queries (derived.SIDES)"),
        ("XPartial", {"derived": {"PERCENT": [35, 65]}}, "other queries (derived.PERCENT)"),
        ("XPartial", {"derived": {"KIND": "shapes", "SHARE": [1, 2], "SIZE": [3, 4]}}, SAME),
        ("XOccluded", {"derived": {"KIND": "shapes"}}, "other queries (derived.KIND)"),
        ("XOccluded", {"derived": {"SHARE": [1, 2]}}, "other queries (derived.SHARE)"),
        ("XOccluded", {"derived": {"SIDES": "any", "PERCENT": [35, 65], "SIZE": [3, 4]}}, SAME),
        ("XSmall", {"derived": {"SIZE": [3, 4]}}, "other queries (derived.SIZE)"),
        ("XSmall", {"derived": {"SIDES": "any", "KIND": "shapes"}}, SAME),
        ("XPartialOccluded", {"derived": {"SIDES": "any"}}, "other queries (derived.SIDES)"),
        ("SyntheticPartialOccluded", {"derived": {"SIDES": "any"}}, SAME),
        # An older record lacks a key: all was done as it is by default.
        ("XSmall", {"derived": {"SIZE": [30, 60]}}, SAME),
        ("XPartial", {"derived": {"SIDES": "window"}, "derived_seed": 0}, SAME),
        ("XHeldOutSmall", {"held_out": 9}, "other queries (held_out)"),
        ("SyntheticPartial", {"synthetic": {"SEED": 1}}, "other queries (synthetic)"),
        ("PartialX", {"derived_seed": 5, "held_out": 9, "kappa": 1.0}, SAME),
    ],
)
def test_other_queries_are_said_in_place_of_a_difference(
    test: str, changes: dict[str, object], said: str
) -> None:
    """Of the same people: what was done to their pictures, or who is in the gallery, is another."""
    protocol = {"bootstrap_rounds": 0, "derived_seed": 0, "cameras": "constant"}
    part = {test: found([100, 0], [1, 2])}
    systems = {
        "A": {**part, "run": {"protocol": protocol}},
        "B": {**part, "run": {"protocol": {**protocol, **changes}}},
    }
    assert difference_table(systems).splitlines()[-1].split("|")[-2].strip() == said


@pytest.mark.parametrize(
    "queries",
    [
        None,
        {},
        {"identities": [], "Rank-1": [], "mAP": []},
        {"identities": [1, 2], "Rank-1": [0.0], "mAP": [0.0, 0.0]},
        {"identities": [1], "Rank-1": [float("nan")], "mAP": [0.0]},
        {"identities": [1], "Rank-1": ["0"], "mAP": [0.0]},
        {"identities": ["x"], "Rank-1": [0.0], "mAP": [0.0]},
    ],
    ids=str,
)
def test_queries_that_are_no_record_are_refused(tmp_path: Path, queries: object) -> None:
    part = report({"global": 40.0}) | {"queries": queries}
    path = saved(tmp_path / "a", A={"X": part, "run": {}})
    with pytest.raises(ValueError, match=r"compare.json.*: the queries of A on X are no record"):
        earlier_systems([path], ["X"])


def test_queries_of_earlier_comparisons_are_kept(tmp_path: Path) -> None:
    part = found([100, 0], [1, 2])
    path = saved(tmp_path / "a", A={"X": part, "run": {}})
    assert earlier_systems([path], ["X"])["A"]["X"]["queries"] == part["queries"]


def test_panels_of_a_picture() -> None:
    one = {"cmc": {"global": [0.4, 0.5], "fused": [0.6, 0.75]}, "selected": "fused"}
    two = {"cmc": {"global": [0.1, 0.2]}, "selected": "global", "single_shot": {}}
    panels = cmc_panels({"A": {"X": one, "run": {}}, "B": {"X": two, "run": {}}})
    assert list(panels) == ["X"]
    assert [list(line.y) for line in panels["X"]] == [[60.0, 75.0], [40.0, 50.0], [10.0, 20.0]]
    assert [line.label for line in panels["X"]] == ["A, fused", "", "B, global, single-shot"]
    assert [line.colour for line in panels["X"]] == [0, 0, 1]
    assert [line.thin for line in panels["X"]] == [False, True, False]


def test_earlier_comparisons_are_joined(tmp_path: Path) -> None:
    one = {"X": report({"global": 40.0}), "Y": {}, "run": {"seed": 1, "images per second": 9}}
    two = {"X": report({"global": 50.0}), "run": {"seed": 2}}
    first, second = saved(tmp_path / "a", A=one), saved(tmp_path / "b", B=two)
    record = earlier_systems([second, first], ["X"])
    assert list(record) == ["B", "A"]
    assert record["A"] == {"X": one["X"], "run": one["run"]}


def test_what_cannot_be_joined_is_said(tmp_path: Path) -> None:
    one = {"X": report({"global": 40.0}), "run": {}}
    path, same = saved(tmp_path / "a", A=one), saved(tmp_path / "b", A=one)
    with pytest.raises(ValueError, match=r"no Z of A: its test sets are X\."):
        earlier_systems([path], ["X", "Z"])
    with pytest.raises(ValueError, match="another file has a system A"):
        earlier_systems([path, same], ["X"])
    with pytest.raises(ValueError, match="two systems A"):
        earlier_systems([path], ["X"], ["A"])
    with pytest.raises(ValueError, match="two systems B"):
        earlier_systems([path], ["X"], ["B", "B"])
    with pytest.raises(ValueError, match=r"absent\.json.*no compare\.json"):
        earlier_systems([str(tmp_path / "absent.json")], ["X"])
    for text in ("[1]", "{", '{"A": 3}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ValueError, match=r"bad\.json.*no compare\.json of `partialreid"):
            earlier_systems([str(tmp_path / "bad.json")], ["X"])


def test_of_every_derived_set_it_is_known_what_makes_its_queries() -> None:
    assert list(OF_DERIVED) == list(SUFFIXES)
