"""The examples of docs/own_pictures.md do what they say."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from partialreid.search.parts import Part
from tests.paths import ROOT
from tests.search.conftest import model_file  # noqa: F401

TEXT = (ROOT / "docs" / "own_pictures.md").read_text(encoding="utf-8")


def test_the_examples(
    model_file: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search, compare = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copy(model_file, "demo.safetensors")
    people = sorted(next((model_file.parent / "data").glob("*/gallery")).iterdir())[:4]
    Path("crops").mkdir()
    for person in people:
        shutil.copy(person, "crops")
    Image.open(people[0]).convert("RGB").crop((0, 0, 32, 32)).save("half.jpg")
    Image.open(people[0]).convert("RGB").save("whole.jpg")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        names: dict[str, object] = {}
        exec(search, names)
    assert re.fullmatch(r"crops/\S+ \d\.\d{4} (match|unsure|nobody)\n", said.getvalue())
    assert Image.open("why.png").width > 300
    assert {path.name for path in Path("answer").iterdir()} == {"index.html", "answers.json"}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compare, names)
    distances, summed, _ = said.getvalue().splitlines()
    total, count = summed.split()
    assert float(total) == pytest.approx(ast.literal_eval(distances)["reconstruction"], abs=1e-4)
    assert int(count) == len(names["pair"].parts) > 0
    assert Image.open("pair.png").width > 300


def test_the_figures_of_verdicts_are_those_of_the_results() -> None:
    reports = [
        json.loads((ROOT / "docs/results/calibration" / name).read_text(encoding="utf-8"))["report"]
        for name in ("released.json", "twin.json")
    ]
    section = TEXT.split("## How far can the verdicts")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if "cameras" in line and "|" in line]
    first = ("calibration_error_in_gallery", "calibration_error")
    without = ("listed_said_without_margin", "calibration_error_listed_without_margin")
    listed = ("listed_right", "listed_said", "calibration_error_listed", *without)
    for row, report in zip(rows[:2], reports, strict=True):
        *_, auc, error_in_gallery, error, false_alarms = row
        assert auc == f"{report['auc']:.2f}"
        shown = [error_in_gallery, error, false_alarms]
        wanted = [f"{100 * report[name]:.1f} %" for name in first]
        assert shown == [*wanted, f"{100 * report['false_alarms']:.0f} % |"]
    for row, report in zip(rows[2:], reports, strict=True):
        wanted = " | ".join(f"{100 * report[name]:.1f} %" for name in listed)
        assert " | ".join(row[1:]) == f"{wanted} |"
    scope = re.search(r"too much: (\S+ %) where (\S+ %) are right", section)
    assert scope and scope.groups() == (rows[2][4], rows[2][1])


def test_what_a_part_is_called() -> None:
    table = TEXT.split("| of a part |")[1].split("\n\n")[0]
    named = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    assert named == [field.name for field in dataclasses.fields(Part)]
