"""What can be wrong with own pictures, indexes and models: one line each, nothing half-written."""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from partialreid.commands import index, search
from partialreid.index import database
from partialreid.index.database import FILE, Database
from partialreid.index.gallery import Index
from partialreid.search.partial_reid import PartialReID
from tests.search.conftest import crops, model_file  # noqa: F401

Refused = Callable[..., str]
CPU = ("--set", "MODEL.DEVICE", "cpu")


@pytest.fixture
def half(crops: Path) -> Path:  # noqa: F811
    """A query: the upper half of somebody of `crops`."""
    whole = Image.open(min(crops.iterdir())).convert("RGB")
    whole.crop((0, 0, whole.width, whole.height // 2)).save(crops.parent / "half.png")
    return crops.parent / "half.png"


@pytest.fixture
def search_words(crops: Path, half: Path, model_file: Path) -> list[object]:  # noqa: F811
    out = crops.parent / "answer"
    return [half, "--gallery", crops, "--out", out, "--model", model_file, *CPU]


@pytest.fixture
def index_words(crops: Path, model_file: Path) -> list[object]:  # noqa: F811
    return [crops, "--into", crops.parent / "crops.index", "--model", model_file, *CPU]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(command: Callable[..., int], words: list[object]) -> None:
    assert command([str(word) for word in words]) == 0


@pytest.mark.parametrize("content", ["nothing", "note.txt", ".hidden.png"])
def test_an_empty_folder(
    content: str,
    half: Path,
    search_words: list[object],
    index_words: list[object],
    refused: Refused,
    tmp_path: Path,
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    if content != "nothing":
        (empty / content).touch()
    search_words[2], index_words[0] = empty, empty
    for command, words in ((search.main, search_words), (index.main, index_words)):
        assert f'"{empty}" holds no images' in refused(command, *words)
    search_words[0] = empty
    assert f'"{empty}" holds no images' in refused(search.main, *search_words)
    assert names_in(tmp_path) == ["crops", "empty", "half.png"]


def test_an_unreadable_picture_of_the_gallery(
    crops: Path,  # noqa: F811
    search_words: list[object],
    index_words: list[object],
    refused: Refused,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (crops / "text.jpg").write_text("no image")
    for command, words in ((search.main, search_words), (index.main, index_words)):
        said = refused(command, *words)
        assert "1 of 5 pictures cannot be read" in said and "text.jpg" in said
    assert names_in(tmp_path) == ["crops", "half.png"]
    for command, words in ((search.main, search_words), (index.main, index_words)):
        run(command, [*words, "--skip-unreadable"])
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
        assert "text.jpg" in line and "no kind that Pillow reads" in line
    assert names_in(tmp_path) == ["answer", "crops", "crops.index", "half.png"]


def test_an_unreadable_query_is_found_before_the_model_and_the_gallery_are(
    half: Path,
    search_words: list[object],
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(half.read_bytes()[:99])
    words = [broken, *search_words]
    with monkeypatch.context() as patch:
        patch.setattr(PartialReID, "load", None)
        said = refused(search.main, *words)
        assert "1 of 2 queries cannot be read" in said and str(broken) in said
        said = refused(search.main, broken, *search_words[1:], "--skip-unreadable")
        assert "none of the queries can be read" in said
    assert not (tmp_path / "answer").exists()
    run(search.main, [*words, "--skip-unreadable"])
    out = capsys.readouterr().out.splitlines()
    assert [str(broken) in line for line in out] == [False, True, False]
    assert out[1].startswith("left out: ")
    (answer,) = json.loads((tmp_path / "answer" / "answers.json").read_text())["answers"]
    assert answer["query"] == str(half)


@pytest.mark.parametrize("what", ["cut", "text", "empty", "numbers"])
def test_a_corrupt_index(
    what: str,
    search_words: list[object],
    index_words: list[object],
    refused: Refused,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(index.main, index_words)
    path = search_words[2] = tmp_path / "crops.index"
    file = path / FILE
    if what == "numbers":
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE columns SET columns = zeroblob(length(columns))")
        assert index.main(["--check", str(path)]) == 2
        assert "are not what was written" in capsys.readouterr().out
    else:
        half = file.read_bytes()[: file.stat().st_size // 2]
        file.write_bytes({"cut": half, "text": b"no index" * 999, "empty": b""}[what])
        for words in (index_words, ["--check", path]):
            said = refused(index.main, *words)
            assert str(path) in said and ("damaged" in said or "no index" in said)
    said = refused(search.main, *search_words)
    assert str(path) in said and ("damaged" in said or "no index" in said)
    assert not (tmp_path / "answer").exists()


def test_an_index_of_another_model(
    search_words: list[object], index_words: list[object], refused: Refused, tmp_path: Path
) -> None:
    run(index.main, index_words)
    search_words[2] = tmp_path / "crops.index"
    before = (tmp_path / "crops.index" / FILE).read_bytes()
    other = ("--set", "INPUT.KEEP_RATIO", "off")
    for command, words in ((search.main, search_words), (index.main, index_words)):
        assert "was made by another model" in refused(command, *words, *other)
    assert (tmp_path / "crops.index" / FILE).read_bytes() == before
    assert not (tmp_path / "answer").exists()


@pytest.mark.parametrize("earlier", [False, True])
def test_no_room_for_the_answers(
    earlier: bool,
    search_words: list[object],
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "answer"
    if earlier:
        run(search.main, search_words)
    before = {path.name: path.read_bytes() for path in out.iterdir()} if earlier else {}
    calls: list[int] = []

    def sync(file: int) -> None:
        calls.append(file)
        if len(calls) == 2:  # one of both is written
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", sync)
    said = refused(search.main, *search_words, "-k", 1)
    assert len(calls) == 2
    assert str(out / "answers.json") in said and "No space left on device" in said
    assert out.exists() == earlier
    assert not earlier or {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_no_room_for_an_index(
    crops: Path,  # noqa: F811
    index_words: list[object],
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Database, "room", lambda _: 0)
        assert "make room there" in refused(index.main, *index_words)
    assert names_in(tmp_path) == ["crops"]
    run(index.main, index_words)
    shutil.copy(min(crops.iterdir()), crops / "more.png")
    monkeypatch.setattr(Database, "room", lambda _: 0)
    assert "make room there" in refused(index.main, *index_words)
    with Index.open(str(tmp_path / "crops.index")) as kept:
        assert len(kept) == 4 and not kept.check()


@pytest.mark.parametrize("what", ["a picture", "text", "cut", "a folder", "absent"])
def test_a_wrong_model_file(
    what: str,
    half: Path,
    model_file: Path,  # noqa: F811
    search_words: list[object],
    index_words: list[object],
    refused: Refused,
    tmp_path: Path,
) -> None:
    path = tmp_path / "wrong.safetensors"
    if what == "a folder":
        path.mkdir()
    elif what != "absent":
        data = model_file.read_bytes()
        path.write_bytes(
            {"a picture": half.read_bytes(), "text": b"no model", "cut": data[:-9]}[what]
        )
    there = names_in(tmp_path)
    search_words[6] = index_words[4] = path
    for command, words in ((search.main, search_words), (index.main, index_words)):
        assert str(path) in refused(command, *words)
    assert names_in(tmp_path) == there


def test_a_query_that_is_a_picture_of_the_gallery(
    crops: Path,  # noqa: F811
    search_words: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = sorted(crops.iterdir())[1]
    run(search.main, [one, *search_words])
    said = [
        line for line in capsys.readouterr().out.splitlines() if "in the gallery itself" in line
    ]
    assert said == [f"{one}: is in the gallery itself, as {one}, and stays in the list"]
    (answer, other) = json.loads((tmp_path / "answer" / "answers.json").read_text())["answers"]
    same = [match["path"] for match in answer["matches"] if match["same_picture"]]
    assert same == [str(one)] and len(answer["matches"]) == 4
    assert not any(match["same_picture"] for match in other["matches"])


def hold(path: str, held: object, done: object) -> None:
    with Index.open(path, write=True):
        held.set()
        done.wait(60)


def test_two_processes_that_write(
    index_words: list[object],
    search_words: list[object],
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(index.main, index_words)
    monkeypatch.setattr(database, "SECONDS_TO_WAIT", 0.1)
    path, fork = tmp_path / "crops.index", multiprocessing.get_context("fork")
    held, done = fork.Event(), fork.Event()
    writer = fork.Process(target=hold, args=(str(path), held, done))
    writer.start()
    try:
        assert held.wait(60)
        assert "another process writes to the index" in refused(index.main, *index_words)
        search_words[2] = path
        run(search.main, search_words)  # a reader need not wait
    finally:
        done.set()
        writer.join(60)
    run(index.main, index_words)


def test_answers_that_cannot_go_where_they_should(
    search_words: list[object],
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is said before the work."""
    monkeypatch.setattr(PartialReID, "load", None)
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        search_words[4] = out
        assert f'the folder "{out}" cannot be written' in refused(search.main, *search_words)
