"""An index of the first format is read as it is, and its first writer makes it one of this."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from partialreid.commands import index as command
from partialreid.index import database
from partialreid.index.gallery import Index
from tests.index.made_up import assert_holds, made_index, queries, record, records


@pytest.fixture
def old(tmp_path: Path) -> str:
    """The path of an index of eight images, as the first format had it."""
    path = made_index(tmp_path, records(range(1, 9)))
    change(
        path,
        "DROP TABLE checksums; DELETE FROM about WHERE key = 'checksum'; PRAGMA user_version = 1;",
    )
    return path


def change(path: str, script: str) -> None:
    with sqlite3.connect(Path(path, database.FILE)) as other:
        other.executescript(script)
    other.close()


def test_it_is_read_and_its_check_says_what_it_cannot_see(old: str, capsys) -> None:
    with Index.open(old) as index:
        assert_holds(index, records(range(1, 9)))
        assert index.stamp(2) == record(3).stamp and not index.summed
        assert index.shortlist(queries(), 2).shape == (5, 2)
    assert command.main(["--check", old]) == 0
    said = capsys.readouterr().out
    assert "8 pictures, all whole; of names, stamps and metadata there are no checksums" in said


def test_its_first_writer_notes_what_there_is(old: str, capsys) -> None:
    with Index.open(old) as reader:
        Index.open(old, write=True).close()
        assert not reader.summed
        reader.refresh()
        assert reader.summed
        assert_holds(reader, records(range(1, 9)))
    assert command.main(["--check", old]) == 0
    assert capsys.readouterr().out == f"{old}: 8 pictures, all whole\n"
    with Index.open(old, write=True) as index:
        index.put([record(20)])
        index.remove(["a/001.jpg"])
        assert_holds(index, [*records(range(2, 9)), record(20)])
    change(old, "UPDATE images SET size = 1 WHERE id = 3")
    assert command.main(["--check", old]) == 2


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE about SET value = 'x' WHERE key = 'channels'",
        "UPDATE about SET value = 0 WHERE key = 'channels'",
        "UPDATE about SET value = 13 WHERE key = 'channels'",
        "UPDATE about SET value = 'gloat32' WHERE key = 'features'",
        "UPDATE about SET value = 7 WHERE key = 'dimensions'",
        "UPDATE about SET value = '{x' WHERE key = 'about'",
        "UPDATE about SET value = '3' WHERE key = 'about'",
        "UPDATE about SET value = '{\"kappb\": 1}' WHERE key = 'coarse'",
        "DELETE FROM about WHERE key = 'mean'",
        "DELETE FROM about WHERE key = 'version'",
        "UPDATE images SET count = 'x' WHERE id = 3",
        "UPDATE images SET name = zeroblob(3) WHERE id = 3",
        "UPDATE metadata SET name = zeroblob(3) WHERE id = 3 AND name = 'day'",
        "PRAGMA user_version = 0",
    ],
)
def test_whatever_is_wrong_with_it_is_one_sentence(old: str, script: str) -> None:
    change(old, script)
    with pytest.raises(ValueError, match="is damaged"), Index.open(old) as index:
        index.shortlist(queries(), 2)
        index.images(range(8)).columns[2]
        index.select({"camera": 1})
        list(index.metadata)
        assert index.check() != []


def test_another_model_changes_nothing(old: str) -> None:
    with pytest.raises(ValueError, match="made by another model"):
        Index.open(old, "another", write=True)
    with Index.open(old) as index:
        assert not index.summed
