"""A file is known again by size and time, and by its content where these differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from partialreid.index import changes as changes_module
from partialreid.index.gallery import Index
from partialreid.index.stamps import stamp_of
from tests.index.made_up import made_index, record

NAMES = ["a/changed.jpg", "a/grown.jpg", "a/same.jpg", "b/touched.jpg"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / "crops" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 200_000)  # more than is read at once
        os.utime(path, ns=(10**18, 10**18))
    return tmp_path / "crops"


def test_stamps(folder: Path) -> None:
    stamps = [stamp_of(str(folder / name)) for name in NAMES]
    assert [stamp.size for stamp in stamps] == [len(name) * 200_000 for name in NAMES]
    assert {stamp.modified for stamp in stamps} == {10**18}
    assert len({stamp.content for stamp in stamps}) == 4


def test_files_are_told_apart(folder: Path, tmp_path: Path, monkeypatch) -> None:
    names = [*NAMES, "b/gone.jpg", "b/locked.jpg"]
    for name in names[4:]:
        (folder / name).write_bytes(name.encode())
    numbered = [
        record(number, name=name, stamp=stamp_of(str(folder / name)))
        for number, name in enumerate(names)
    ]
    path = made_index(tmp_path, numbered)
    data = bytearray((folder / NAMES[0]).read_bytes())
    data[-1] ^= 1
    (folder / NAMES[0]).write_bytes(data)  # of the same size
    (folder / NAMES[1]).write_bytes(b"more")
    os.utime(folder / NAMES[1], ns=(10**18, 10**18))  # of the same time
    os.utime(folder / NAMES[3])
    (folder / "new.jpg").write_bytes(b"new")
    (folder / "b/locked.jpg").unlink()
    (folder / "b/locked.jpg").mkdir()
    present = [*NAMES, "b/locked.jpg", "new.jpg", "missing.jpg"]
    with Index.open(path, write=True) as index:
        read: list[str] = []
        monkeypatch.setattr(
            changes_module, "stamp_of", lambda path: read.append(path) or stamp_of(path)
        )
        found = index.changes(present, str(folder))
        assert list(found.new) == ["new.jpg"] and found.new["new.jpg"].size == 3
        assert list(found.changed) == NAMES[:2] and list(found.touched) == [NAMES[3]]
        assert found.changed[NAMES[0]] == stamp_of(str(folder / NAMES[0]))
        assert found.unchanged == NAMES[2:] and found.gone == ["b/gone.jpg"]
        assert found.unreadable == {
            "b/locked.jpg": "Is a directory",
            "missing.jpg": "No such file or directory",
        }
        assert str(folder / NAMES[2]) not in read and len(read) == 6
        index.restamp(found.touched)
        again = index.changes(present, str(folder))
        assert not again.touched and again.unchanged == NAMES[2:]
        with pytest.raises(ValueError, match="is not UTF-8: rename it"):
            index.changes(["a\udcff.jpg"], str(folder))
