"""Networks side by side, each by its own lambda, from what select-lambda wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chosen_lambdas import main

HALF = ("folder:peoplePartial",)
WINDOW = {"derived": {"SIDES": "window"}, "derived_seed": 0, "cameras": "constant"}


def write(path: Path, found: dict[str, Any], chosen: float = 0.9, **protocol: Any) -> str:
    """A lambda.json in which three people have two queries each; mAP is half of Rank-1."""
    queries = {
        name: {
            "identities": [5, 5, 7, 7, 8, 8][: len(values)],
            "Rank-1": values,
            "mAP": [x / 2 for x in values],
        }
        for name, values in found.items()
    }
    run = {"protocol": {**WINDOW, **protocol}}
    path.write_text(json.dumps({"lambda": chosen, "queries": queries, "run": run}))
    return str(path)


def rows(capsys: pytest.CaptureFixture[str], *files: Path | str) -> list[list[str]]:
    assert main([str(file) for file in files]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [cells[0], *cells[2:]]


def refused(capsys: pytest.CaptureFixture[str], *files: Path | str) -> str:
    with pytest.raises(SystemExit) as caught:
        main([str(file) for file in files])
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_differences_are_those_of_the_queries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever the folders lie, in whatever order; the last row is of the same people's queries."""
    one = write(
        tmp_path / "one.json",
        {
            "folder:a/people/": [100, 0, 0, 0, 0, 0],
            "folder:a/peoplePartial": [0, 0, 0, 0, 0, 0],
            "folder:a/others.csvSmall": [100, 0, 100, 0, 0, 0],
            "folder:people2": [0, 0, 0, 0, 0, 0],
        },
    )
    other = write(
        tmp_path / "other.json",
        {
            "folder:people2": [100, 100, 100, 100, 100, 100],
            "folder:b/c/peoplePartial": [100, 100, 0, 0, 0, 0],
            "folder:people": [100, 100, 0, 100, 0, 100],
            "folder:b/others.csvSmall": [100, 0, 100, 0, 0, 0],
        },
        0.456,
    )
    found = rows(capsys, one, other)
    assert found[0] == ["set", f"{one}, lambda 0.90", f"{other}, lambda 0.46"]
    assert [row[0] for row in found[1:]] == [
        *("people", "peoplePartial", "others.csvSmall", "people2", "people, all")
    ]
    # All gain one of their two queries, so that all draws of them do.
    even = "+50.0 (+50.0 to +50.0) / +25.0 (+25.0 to +25.0)"
    assert found[1][1:] == ["16.7 / 8.3", f"66.7 / 33.3; {even}"]
    # One of three gains all: of those that are drawn it may be none, and at times all three.
    assert found[2][2].startswith("33.3 / 16.7; +33.3 (+0.0 to +100.0) / +16.7 (+0.0 to +50.0)")
    assert found[3][2].endswith("; +0.0 (+0.0 to +0.0) / +0.0 (+0.0 to +0.0)")
    # Of people and peoplePartial: people2 are others.
    assert found[5][1] == "8.3 / 4.2" and found[5][2].startswith("50.0 / 25.0; +41.7 (")


def test_a_folder_may_be_named_as_what_is_made_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("peopleSmall", "peopleSmallPartial", "crowdPartial", "crowdSmall")
    found = {f"folder:{name}": [100, 0] for name in names}
    # Others than those of crowdPartial.
    one = write(tmp_path / "one.json", {**found, "folder:crowdOccluded": [100, 0, 0]})
    assert "crowd, all" not in {row[0] for row in rows(capsys, one, one)}
    one = write(tmp_path / "one.json", found)
    assert [row[0] for row in rows(capsys, one, one)[5:]] == ["peopleSmall, all", "crowd, all"]


def test_of_one_person_there_is_no_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path / "one.json", {"folder:people": [100, 0]})
    other = write(tmp_path / "other.json", {"folder:people": [100, 100]})
    assert rows(capsys, one, other)[1][2] == "100.0 / 50.0; +50.0 / +25.0"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not there: `partialreid select-lambda` writes it"),
        ("", "does not hold what each query found"),
        ('{"lambda": 0.9, "curves": {}}', "does not hold what each query found"),
        ("[1]", "does not hold what each query found"),
        ('{"lambda": 0.9, "queries": {}}', "does not hold what each query found"),
        ('{"lambda": 0.9, "queries": [1]}', "does not hold what each query found"),
        ('{"lambda": 0.9, "queries": {"folder:people": {}}}', "does not hold what each query"),
        (
            '{"lambda": 0.9, "queries": {"p": {"identities": [1, 1], "Rank-1": [1], "mAP": [1]}}, '
            '"run": {"protocol": {}}}',
            "does not hold what each query found",
        ),
        (
            '{"lambda": 0.9, "queries": {"p": {"identities": [1], "Rank-1": [1], "mAP": [1]}}, '
            '"run": null}',
            "does not hold what each query found",
        ),
    ],
    ids=str,
)
def test_what_is_no_record_is_refused(
    content: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path / "one.json", {"folder:people": [100, 0]})
    other = tmp_path / "other.json"
    if content is not None:
        other.write_text(content)
    found = refused(capsys, one, other)
    assert said in found and f'"{other}"' in found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sets": ("folder:crowd",)}, "not of the same sets: crowd, people is in one"),
        ({"sets": ("folder:people", "folder:peopleSmall")}, "same sets: peopleSmall is in one"),
        ({"sets": ("folder:a/people", "folder:b/people")}, "are called people: give one of"),
        (
            {"sets": HALF, "derived": {"SIDES": "any"}},
            'the "derived.SIDES" of their protocols differ',
        ),
        ({"sets": HALF, "derived_seed": 4}, 'of peoplePartial: the "derived_seed" of their'),
        ({"cameras": "original"}, 'galleries of people: the "cameras" of their protocols differ'),
        ({"values": [100, 0, 0]}, "evaluated on different queries"),
    ],
    ids=str,
)
def test_what_is_of_other_queries_is_refused(
    changes: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = changes.pop("sets", ("folder:people",))
    first = HALF if sets == HALF else ("folder:people",)
    one = write(tmp_path / "one.json", {name: [100, 0] for name in first})
    values = changes.pop("values", [100, 0])
    other = write(tmp_path / "other.json", dict.fromkeys(sets, values), **changes)
    assert said in refused(capsys, one, other)


def test_other_networks_are_matched_by_their_own_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sizes, kappa and the like belong to a network, and how queries are cut to cut ones."""
    one = write(tmp_path / "one.json", {"folder:people": [100, 0]}, kappa=0.001)
    changes = {"kappa": 0.01, "derived_seed": 4, "held_out": 9}
    other = write(tmp_path / "other.json", {"folder:people": [100, 0]}, **changes)
    assert len(rows(capsys, one, other)) == 2
