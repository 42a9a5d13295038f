"""Files are written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from partialreid.files import write_json, write_text


def test_json_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(str(path), {"b": 1.5, "a": [1, None]})
    assert list(json.loads(path.read_text()).items()) == [("b", 1.5), ("a", [1, None])]
    with pytest.raises(TypeError):
        write_json(str(path), {"b": object()})
    with pytest.raises(UnicodeEncodeError):
        write_text(str(path), "\ud800")
    assert json.loads(path.read_text())["b"] == 1.5
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]
