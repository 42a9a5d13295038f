"""Networks side by side, each by its own lambda, from what select-lambda wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chosen_lambdas import main

SETS = ("folder:a/people", "folder:a/peoplePartial", "folder:a/others.csvSmall")


def write(path: Path, found: dict[str, list[float]]) -> str:
    """A lambda.json in which two people have two queries each."""
    queries = {
        name: {"identities": [5, 5, 8, 8], "Rank-1": values, "mAP": [x / 2 for x in values]}
        for name, values in found.items()
    }
    path.write_text(json.dumps({"lambda": 0.9, "queries": queries}))
    return str(path)


def test_differences_are_those_of_the_queries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of folders elsewhere, too; and the last row is of all queries of the same people."""
    one = write(
        tmp_path / "one.json",
        dict(zip(SETS, ([100, 0, 0, 0], [0, 0, 0, 0], [100, 0, 100, 0]), strict=True)),
    )
    moved = [name.replace("a/", "b/c/") for name in SETS]
    other = write(
        tmp_path / "other.json",
        dict(zip(moved, ([100, 100, 0, 100], [100, 0, 100, 0], [100, 0, 100, 0]), strict=True)),
    )
    assert main([one, other]) == 0
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in capsys.readouterr().out.splitlines()
    ]
    assert lines[0] == ["set", one, other]
    # Each of the people gains as much as the other, so that all draws of them do.
    even = "+50.0 (+50.0 to +50.0) / +25.0 (+25.0 to +25.0)"
    assert lines[2:] == [
        ["people", "25.0 / 12.5", f"75.0 / 37.5; {even}"],
        ["peoplePartial", "0.0 / 0.0", f"50.0 / 25.0; {even}"],
        [
            "others.csvSmall",
            "50.0 / 25.0",
            "50.0 / 25.0; +0.0 (+0.0 to +0.0) / +0.0 (+0.0 to +0.0)",
        ],
        ["people, all", "12.5 / 6.2", f"62.5 / 31.2; {even}"],
    ]


def refused(capsys: pytest.CaptureFixture[str], *files: Path | str) -> str:
    with pytest.raises(SystemExit) as caught:
        main([str(file) for file in files])
    assert caught.value.code not in (0, None)
    return f"{caught.value.code} {capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not there: `partialreid select-lambda` writes it"),
        ({"lambda": 0.9, "curves": {}}, "does not hold what each query found"),
        ([1], "does not hold what each query found"),
        ({"queries": {"folder:a/crowd": {}}}, "not chosen by the same sets: people"),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_refused(
    content: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path / "one.json", {SETS[0]: [100, 0, 0, 0]})
    other = tmp_path / "other.json"
    if content is not None:
        other.write_text(json.dumps(content))
    assert said in refused(capsys, one, other)


def test_other_queries_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "one.json", {SETS[0]: [100, 0, 0, 0]})
    record = json.loads(Path(one).read_text())
    record["queries"][SETS[0]]["identities"] = [5, 5, 5, 8]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(record))
    assert "evaluated on different queries" in refused(capsys, one, other)
