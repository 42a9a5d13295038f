"""benchmarks/proportions.py: height by width of a test set's images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import bench, proportions
from tests.paths import ROOT


def drawn(folder: Path, sizes: list[tuple[int, int]]) -> list[tuple[str, int, int]]:
    """Images of these widths and heights."""
    folder.mkdir(parents=True)
    items = []
    for place, size in enumerate(sizes):
        camera = 1 if folder.name == "query" else 2
        path = folder / f"{place:04d}_c{camera}_0.png"
        Image.new("RGB", size).save(path)
        items.append((str(path), place, 0))
    return items


def test_flat_queries_of_tall_people(tmp_path: Path) -> None:
    """Of eleven images each the second, the middle one and the last but one."""
    queries = drawn(tmp_path / "query", [(20, 10 + place) for place in range(11)])
    gallery = drawn(tmp_path / "gallery", [(10, 20)] * 10 + [(10, 40)])
    assert proportions.measure("flat", queries, gallery) == {
        "set": "flat",
        "height by width of queries": "0.55 0.75 0.95",
        "of the gallery": "2.00 2.00 2.00",
        "queries by gallery": "0.28 0.38 0.47",
    }


def test_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "bench")
    drawn(tmp_path / "people" / "query", [(10, 10)] * 3)
    drawn(tmp_path / "people" / "gallery", [(10, 20)] * 3)
    proportions.main([f"folder:{tmp_path / 'people'}"])
    (row,) = json.loads((tmp_path / "bench" / "proportions.json").read_text())["rows"]
    assert row["queries by gallery"] == "0.50 0.50 0.50"


def test_an_unknown_set_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        proportions.main(["PartialREDI"])
    assert caught.value.code == 2 and "no data set 'PartialREDI'" in capsys.readouterr().err


def test_the_page_says_what_was_measured() -> None:
    page = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    record = json.loads((ROOT / "docs" / "results" / "proportions.json").read_text())
    found = {row["set"]: row["queries by gallery"].split() for row in record["rows"]}
    for title, name in (
        ("Partial-REID", "PartialREID"),
        ("Partial-iLIDS", "PartialiLIDS"),
        ("CUHK03-val, cut", "folder:datasets/CUHK03-valPartial"),
    ):
        assert f"| {title} | {' | '.join(found[name])} |" in page
    assert f"less than {100 * float(found['PartialREID'][0]):.0f} %" in page
