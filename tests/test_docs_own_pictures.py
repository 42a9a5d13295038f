"""The example of docs/own_pictures.md does what it says."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.paths import ROOT
from tests.search.conftest import model_file  # noqa: F401

TEXT = (ROOT / "docs" / "own_pictures.md").read_text(encoding="utf-8")


def test_the_example(
    model_file: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copy(model_file, "demo.safetensors")
    people = sorted(next((model_file.parent / "data").glob("*/gallery")).iterdir())[:4]
    Path("crops").mkdir()
    for person in people:
        shutil.copy(person, "crops")
    Image.open(people[0]).convert("RGB").crop((0, 0, 32, 32)).save("half.jpg")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(example, {})
    assert re.fullmatch(r"crops/\S+ \d\.\d{4} unsure\n", said.getvalue())
    assert Image.open("why.png").width > 300
    assert {path.name for path in Path("answer").iterdir()} == {"index.html", "answers.json"}
