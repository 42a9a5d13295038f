"""`made_folder`: complete or absent, in the data root or in the cache."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from partialreid.images import made_folder
from partialreid.images.made_folder import MANIFEST, make_folder

RECIPE = {"kind": "test", "seed": 3, "range": (1, 2)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARTIALREID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def build(folder: Path) -> dict[str, Any]:
    (folder / "a.txt").write_text("made")
    return {"counts": {"a": 1}}


def must_not_build(folder: Path) -> Mapping[str, Any]:
    raise AssertionError("built although it was there")


def test_made_once_with_its_manifest(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "set", RECIPE, build)
    assert folder == tmp_path / "set"
    assert (folder / "a.txt").read_text() == "made"
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest == {
        "recipe": {"kind": "test", "seed": 3, "range": [1, 2]},
        "counts": {"a": 1},
    }
    assert make_folder(tmp_path, "set", RECIPE, must_not_build) == folder
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_other_content_of_that_name_is_an_error_and_stays(tmp_path: Path) -> None:
    make_folder(tmp_path, "set", RECIPE, build)
    with pytest.raises(RuntimeError, match=r"set.*does not match the recipe.*Remove that folder"):
        make_folder(tmp_path, "set", {**RECIPE, "seed": 4}, must_not_build)
    assert (tmp_path / "set" / "a.txt").read_text() == "made"

    (tmp_path / "own").mkdir()
    with pytest.raises(RuntimeError, match="own"):
        make_folder(tmp_path, "own", RECIPE, must_not_build)


@pytest.mark.parametrize("error", [ValueError("broken image"), KeyboardInterrupt()])
def test_interrupted_build_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    root = tmp_path / "root"

    def interrupted(folder: Path) -> Mapping[str, Any]:
        build(folder)
        raise error

    with pytest.raises(type(error)):
        make_folder(root, "set", RECIPE, interrupted)
    assert list(root.iterdir()) == []
    assert (make_folder(root, "set", RECIPE, build) / "a.txt").is_file()


def test_what_a_killed_process_left_goes_when_it_is_old(tmp_path: Path) -> None:
    ages = {".set.old": 30, ".set.new": 0, ".set2.old": 30}
    for name, days in ages.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
        past = time.time() - days * 24 * 3600
        os.utime(tmp_path / name, (past, past))
    make_folder(tmp_path, "set", RECIPE, build)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".set.new", ".set2.old", "set"]


def test_root_below_a_file_goes_to_the_cache(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = make_folder(tmp_path / "file" / "root", "set", RECIPE, build)
    assert folder == cache / "set"
    assert make_folder(tmp_path / "file" / "root", "set", RECIPE, must_not_build) == folder


def test_root_without_write_bits_goes_to_the_cache(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o555)
    try:
        assert make_folder(root, "set", RECIPE, build) == cache / "set"
        assert list(root.iterdir()) == []
    finally:
        root.chmod(0o755)


def test_nowhere_to_write_names_both_places(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> str:
        raise OSError("full")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(RuntimeError) as error:
        make_folder(tmp_path, "set", RECIPE, must_not_build)
    for part in (f"{tmp_path}: full", f"{cache}: full", "DATASETS.ROOT", "PARTIALREID_CACHE"):
        assert part in str(error.value)


def test_another_process_finishes_first(tmp_path: Path) -> None:
    def overtaken(folder: Path) -> dict[str, Any]:
        make_folder(tmp_path, "set", RECIPE, build)
        (folder / "a.txt").write_text("too late")
        return {"counts": {"a": 1}}

    folder = make_folder(tmp_path, "set", RECIPE, overtaken)
    assert (folder / "a.txt").read_text() == "made"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_another_process_finishes_between_the_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(tmp_path, "set", RECIPE, build)
    true, looks = made_folder._is_complete, []

    def blind_at_first(place: Path, *arguments: Any) -> bool:
        looks.append(place)
        return len(looks) > 2 and true(place, *arguments)

    monkeypatch.setattr(made_folder, "_is_complete", blind_at_first)
    assert make_folder(tmp_path, "set", RECIPE, must_not_build) == folder


def test_cache_root_defaults_to_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARTIALREID_CACHE")
    monkeypatch.setenv("HOME", "/home/someone")
    assert made_folder.cache_root() == Path("/home/someone/.cache/partialreid")
