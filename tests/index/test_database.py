"""An index is at its last commit, for whoever opens it; what cannot be opened says why."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import resource
import sqlite3
from pathlib import Path

import pytest
import torch

from partialreid.index import database, tables
from partialreid.index.gallery import Index
from tests.index.made_up import MODEL, assert_holds, made_index, record, records

# As a loader's workers are begun: a process of its own would import everything anew.
FORK = multiprocessing.get_context("fork")


def test_a_reader_sees_its_commit_until_it_asks_for_the_last(tmp_path: Path) -> None:
    path = made_index(tmp_path, records(range(4)))
    with Index.open(path) as reader, Index.open(path, write=True) as writer:
        columns = reader.images(range(4)).columns
        before = reader.ids.tolist()
        writer.put([record(1, seed=3), record(8)])
        writer.remove(["a/000.jpg"])
        assert_holds(reader, records(range(4)))
        assert columns[0].shape == (12, 0)
        with Index.open(path) as other:
            assert_holds(other, [*records([2, 3]), record(1, seed=3), record(8)])
        reader.refresh()
        assert_holds(reader, [*records([2, 3]), record(1, seed=3), record(8)])
        assert [reader.place_of(one) for one in before] == [None, None, 0, 1]
        assert [reader.place_of(one) for one in reader.ids.tolist()] == [0, 1, 2, 3]


def test_a_reader_does_not_write(tmp_path: Path) -> None:
    with Index.open(made_index(tmp_path, records([1]))) as index:
        for change in (
            lambda: index.put(records([2])),
            lambda: index.remove(["a/001.jpg"]),
            lambda: index.set_metadata({"a/001.jpg": {}}),
            lambda: index.restamp({"a/001.jpg": record(2).stamp}),
        ):
            with pytest.raises(ValueError, match="open it for writing"):
                change()
        assert_holds(index, records([1]))


def test_images_of_a_closed_index_say_so(tmp_path: Path) -> None:
    with Index.open(made_index(tmp_path, records([1]))) as index:
        columns = index.images([0]).columns
    with pytest.raises(ValueError, match="is closed: columns are fetched when"):
        columns[0]


def write_and_die(path: str) -> None:
    torch.set_num_threads(1)  # those of the parent are not there
    index = Index.open(path, write=True)
    index.put(records([5]))
    with index._database.transaction():
        index._database.write("DELETE FROM images WHERE id = ?", [(1,)])
        os.kill(os.getpid(), 9)


def test_a_killed_writer_leaves_its_last_commit_and_no_lock(tmp_path: Path) -> None:
    path = made_index(tmp_path, records([1, 2]))
    child = FORK.Process(target=write_and_die, args=(path,))
    child.start()
    child.join(120)
    assert child.exitcode == -9
    with Index.open(path) as index:
        assert_holds(index, records([1, 2, 5]))
    with Index.open(path, write=True) as index:
        index.put(records([6]))
        assert_holds(index, records([1, 2, 5, 6]))


def test_one_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SECONDS_TO_WAIT", 0.1)
    path = made_index(tmp_path)
    with Index.open(path, write=True):
        with pytest.raises(ValueError, match="another process writes to the index"):
            Index.open(path, write=True)
        Index.open(path).close()
    with Index.open(path, write=True) as index:
        index.put(records([3]))


def test_another_program_that_writes_is_waited_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(database, "SECONDS_TO_WAIT", 0.1)
    path = made_index(tmp_path, records([1]))
    other = sqlite3.connect(Path(path, database.FILE), isolation_level=None)
    with Index.open(path, write=True) as index:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ValueError, match="another program holds the index"):
            index.put(records([2]))
        other.execute("ROLLBACK")
        index.put(records([2]))
        assert_holds(index, records([1, 2]))
    other.close()


def test_creation_takes_the_place_of_nothing(tmp_path: Path) -> None:
    path = made_index(tmp_path, records([1]))
    with pytest.raises(ValueError, match="is there already"):
        Index.create(path, MODEL)
    with pytest.raises(ValueError, match=r"the folder of .* is not there"):
        Index.create(str(tmp_path / "no" / "crops.index"), MODEL)
    with Index.open(path) as index:
        assert_holds(index, records([1]))
    assert os.listdir(tmp_path) == ["crops.index"]
    with pytest.raises(TypeError):
        Index.create(str(tmp_path / "other"), MODEL, {"folder": tmp_path})
    assert os.listdir(tmp_path) == ["crops.index"]


def test_another_model_is_refused(tmp_path: Path) -> None:
    path = made_index(tmp_path)
    with pytest.raises(ValueError, match=r"by another model \(made-up, this one is other\)"):
        Index.open(path, "other", write=True)
    Index.open(path, MODEL, write=True).close()


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no index: it has no images\.sqlite"):
        Index.open(str(tmp_path))
    file = tmp_path / database.FILE
    sqlite3.connect(file).execute("CREATE TABLE about (key)").connection.close()
    with pytest.raises(ValueError, match="is no index of partialreid"):
        Index.open(str(tmp_path))
    file.write_bytes(b"something else" * 1000)
    with pytest.raises(ValueError, match=r"is damaged \(file is not a database\)"):
        Index.open(str(tmp_path), write=True)


def test_a_newer_index_is_refused(tmp_path: Path) -> None:
    path = made_index(tmp_path)
    with sqlite3.connect(Path(path, database.FILE)) as newer:
        newer.execute(f"PRAGMA user_version = {tables.FORMAT + 1}")
    newer.close()
    with pytest.raises(ValueError, match=r"of format 3, .* reads format 2: install a newer one"):
        Index.open(path)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_an_index_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    path = made_index(tmp_path, records(range(40)))
    file = Path(path, database.FILE)
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(ValueError, match="is damaged"), Index.open(path) as index:
        assert index.check() != []
        index.images(range(40)).columns[39]


def test_a_full_disk_leaves_the_last_commit(tmp_path: Path) -> None:
    path = made_index(tmp_path, records(range(3)))
    numbers = itertools.count(10)
    put = records(range(3))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Index.open(path, write=True) as index:
        # No file may grow beyond it. Python ignores the signal, so that an error arrives.
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))
        try:
            with pytest.raises(OSError, match="its last commit stays: make room there") as caught:
                while len(put) < 500:
                    index.put(records([next(numbers)]))
                    put.append(record(10 + len(put) - 3))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert "\n" not in str(caught.value) and len(put) > 3
        assert_holds(index, put)
        index.put(records([5]))
    with Index.open(path) as index:
        assert_holds(index, [*put, record(5)])


def test_an_index_that_may_not_be_written_to_is_read(tmp_path: Path, monkeypatch) -> None:
    path = made_index(tmp_path, records(range(3)))
    # The user of a test may be one whom nothing is forbidden.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Index.open(path) as index:
        assert_holds(index, records(range(3)))
        assert sorted(os.listdir(path)) == sorted([database.FILE, database.LOCK])
    with pytest.raises(ValueError, match="may not be written to by this user"):
        Index.open(path, write=True)
