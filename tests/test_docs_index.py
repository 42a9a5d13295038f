"""The example of docs/index_on_disk.md runs and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from tests.paths import ROOT

TEXT = (ROOT / "docs" / "index_on_disk.md").read_text(encoding="utf-8")


def test_the_example_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(example, {})
    wanted = [line[2:] for line in example.splitlines() if line.startswith("# ")]
    assert len(wanted) == 2
    assert said.getvalue().splitlines() == wanted
