"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from partialreid.runtime.files import (
    whole_file,
    whole_files,
    write_json,
    write_text,
    written_into,
)


def test_json_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"b": 1.5, "a": [1, None]})
    assert list(json.loads(path.read_text()).items()) == [("b", 1.5), ("a", [1, None])]
    with pytest.raises(TypeError):
        write_json(path, {"b": object()})
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert json.loads(path.read_text())["b"] == 1.5
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_the_earlier_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"before")
    with whole_file(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"


def test_an_error_of_the_writer_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "x") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_full_disk_names_the_file(tmp_path: Path, wrapped: bool) -> None:
    path = tmp_path / "x.json"
    path.write_text("before")
    with pytest.raises(OSError) as caught, whole_file(path):
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            if wrapped:
                raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904, as torch does
            raise
    assert f'"{path}" cannot be written (No space left on device)' in str(caught.value)
    assert "make room there" in str(caught.value)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("earlier", [False, True])
def test_of_files_that_belong_together_all_are_written_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: bool
) -> None:
    paths = [tmp_path / "page", tmp_path / "numbers"]
    if earlier:
        for path in paths:
            path.write_text("before")
    there = sorted(file.name for file in tmp_path.iterdir())
    synced: list[int] = []

    def sync(file: int) -> None:
        synced.append(file)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", sync)
    said = r"page.*numbers.*No space left"
    with pytest.raises(OSError, match=said) as caught, whole_files(*paths) as files:
        for file in files:
            file.write(b"after")
    assert "\n" not in str(caught.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == there
    assert all(path.read_text() == "before" for path in paths if earlier)
    with whole_files(*paths) as files:
        for file in files:
            file.write(b"after")
            assert not earlier or paths[0].read_text() == "before"
    assert [path.read_text() for path in paths] == ["after", "after"]


def test_a_folder_in_the_way_of_one_keeps_the_other_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    said, paths = r"cannot be written \(Is a directory\)", (tmp_path / "a", tmp_path / "b")
    with pytest.raises(OSError, match=said), whole_files(*paths) as files:
        files[0].write(b"after")
    assert [file.name for file in tmp_path.iterdir()] == ["b"]


def test_a_folder_that_is_not_there_or_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for path, said in ((tmp_path / "absent" / "x", "No such file"), (tmp_path / "x", "directory")):
        with pytest.raises(OSError, match=f'"{path}" cannot be written .*{said}'):
            write_text(path, "text")
    assert os.listdir(tmp_path) == ["x"]


def test_a_folder_in_the_way_of_the_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "a.json.tmp").mkdir()
    with pytest.raises(OSError, match=r'a\.json" cannot be written'):
        write_json(tmp_path / "a.json", {})
    assert [file.name for file in tmp_path.iterdir()] == ["a.json.tmp"]


def test_no_room_for_the_file_of_another_package(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, written_into(str(tmp_path)):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(caught.value) == (
        "a file cannot be written (No space left on device): make room in OUTPUT_DIR "
        f'"{tmp_path}", or choose another folder.'
    )
    named = OSError(errno.ENOSPC, "No space left on device", "elsewhere")
    for error in (named, OSError(errno.ENOENT, "not there"), ValueError("of another kind")):
        with pytest.raises(type(error)) as caught, written_into(str(tmp_path)):
            raise error
        assert caught.value is error
