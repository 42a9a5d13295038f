"""The index of a folder is made where all can be read; nothing is left where the making fails."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from partialreid.images import reading
from partialreid.images.reading import ImageError
from partialreid.index import database
from partialreid.index.database import Database
from partialreid.index.gallery import Index
from partialreid.search.partial_reid import PartialReID


def test_an_unreadable_picture_leaves_no_index(
    model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    (crops / "text.jpg").write_text("no image")
    (crops / "other.heic").write_text("no image")
    into = tmp_path / "crops.index"
    with pytest.raises(ImageError, match=r"2 of 6 pictures cannot be read.*other\.heic.*text\.jpg"):
        model.index(crops, into)
    assert not into.exists()
    with model.index(crops, into, skip_unreadable=True) as index:
        assert len(index) == 4
    assert [Path(one.path).name for one in model.skipped] == ["other.heic", "text.jpg"]
    shutil.rmtree(into)
    for path in crops.glob("*.png"):
        path.unlink()
    with pytest.raises(ImageError, match="none of the pictures can be read"):
        model.index(crops, into, skip_unreadable=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, sqlite3.OperationalError, ValueError])
def test_nothing_is_left_where_the_first_pictures_do_not_come_in(
    error: type[BaseException],
    model: PartialReID,
    crops: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise error("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", refuse)
        with pytest.raises((KeyboardInterrupt, OSError, ValueError), match="full"):
            model.index(crops, tmp_path / "crops.index")
    assert [path.name for path in tmp_path.iterdir()] == ["crops"]
    with model.index(crops, tmp_path / "crops.index") as index:
        assert len(index) == 4
    # One that holds pictures stays as it was.
    (crops / "more.png").write_bytes(min(crops.iterdir()).read_bytes())
    monkeypatch.setattr(Database, "write", refuse)
    with pytest.raises((KeyboardInterrupt, OSError, ValueError), match="full"):
        model.index(crops, tmp_path / "crops.index")
    with model.open(tmp_path / "crops.index") as index:
        assert len(index) == 4


def test_an_empty_folder_becomes_an_index_and_another_is_refused(
    model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with model.index(crops, tmp_path / "empty") as index:
        assert len(index) == 4
    (tmp_path / "file").touch()
    for into in (crops, tmp_path / "file"):
        with pytest.raises(ValueError, match=f"{into}. is there and is no index.*another name"):
            model.index(crops, into)
    with pytest.raises(ValueError, match=r"the folder of .* is not there"):
        model.index(crops, tmp_path / "absent" / "x.index")
    assert len(list(crops.iterdir())) == 4


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_an_emptied_source_says_how_its_last_pictures_are_removed(
    kind: str, model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    into, source = tmp_path / "x.index", crops
    if kind == "table":
        source = crops / "x.csv"
        source.write_text("\n".join(["path", *(path.name for path in crops.glob("*.png"))]))
    model.index(source, into).close()
    for path in crops.glob("*.png"):
        path.unlink()
    if kind == "table":
        source.write_text("path\n")
    said = (
        f'no picture in "{source}", as where a disk is not mounted.* "{into}" .* remove its folder'
    )
    with pytest.raises(ValueError, match=said):
        model.index(source, into)
    with model.open(into) as index:
        assert len(index) == 4
    with Index.open(str(into), write=True) as index:  # what the page says besides
        index.remove(index.names)
        assert len(index) == 0 and index.check() == []


def test_a_name_that_is_not_text_is_refused_before_pictures_are_decoded(
    model: PartialReID, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(min(crops.iterdir()), os.fsencode(crops) + b"/a\xff.png")
    monkeypatch.setattr(reading, "read_image", None)
    for skip in (False, True):
        with pytest.raises(ValueError, match=r"a\\udcff\.png' is not UTF-8: rename it"):
            model.index(crops, tmp_path / "x.index", skip_unreadable=skip)
    assert [path.name for path in tmp_path.iterdir()] == ["crops"]


def test_an_index_that_another_process_begins_to_fill_is_not_taken_away(
    model: PartialReID, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, others = Index.create, list[Index]()

    def created(path: str, *about: Any) -> None:
        create(path, *about)
        others.append(Index.open(path, write=True))

    monkeypatch.setattr(Index, "create", created)
    monkeypatch.setattr(database, "SECONDS_TO_WAIT", 0.1)
    with pytest.raises(ValueError, match="another process writes"):
        model.index(crops, tmp_path / "crops.index")
    others[0].close()
    model.open(tmp_path / "crops.index").close()


def test_a_table_replaces_what_was_known_and_a_folder_leaves_it(
    model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    names, into, table = sorted(path.name for path in crops.iterdir()), "x.index", crops / "s.csv"

    def known(source: Path, *lines: str) -> list[object]:
        if lines:
            table.write_text("\n".join([*lines, *(f"{name},," for name in names[2:])]))
        with model.index(source, tmp_path / into) as index:
            assert [Path(path).name for path in index.paths] == names
            return list(index.metadata)[:2]

    anna = {"identity": "Anna", "camera": 3}
    two = [f"{name},Anna,3" for name in names[:2]]
    assert known(table, "path,identity,camera", *two) == [anna, anna]
    table.unlink()
    assert known(crops) == [anna, anna]
    assert known(table, "path,identity,camera", f"{names[0]},,", two[1]) == [{}, anna]
    table.write_text("\n".join(["path", *names]))
    assert known(table) == [{}, {}]
    with model.open(tmp_path / into) as index, pytest.raises(ValueError, match="known is nothing"):
        index.where(["identity=Anna"])


def test_another_table_does_not_drop_the_pictures_of_the_first(
    model: PartialReID, crops: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="partialreid")
    names, into = sorted(path.name for path in crops.iterdir()), tmp_path / "x.index"

    def index(table: str, *of: str) -> list[str]:
        (crops / table).write_text("\n".join(["path", *of]))
        with model.index(crops / table, into) as made:
            return sorted(Path(path).name for path in made.paths)

    assert index("a.csv", *names[:2]) == names[:2]
    said = (
        rf'b.csv" names none of the 2 pictures of the index "{into}".*such as ".*{names[0]}": name'
    )
    with pytest.raises(ValueError, match=said):
        index("b.csv", *names[2:])
    with model.open(into) as made:
        assert len(made) == 2
    assert "removed" not in caplog.text
    # One that names some of them is the same gallery, from which some went.
    assert index("b.csv", *names[1:3]) == names[1:3]
    assert f'removed from the index: 1 that "{crops}/b.csv" does not name' in caplog.text
    for name in names[1:3]:
        (crops / name).unlink()
    assert index("b.csv", names[3]) == names[3:]
    assert "pictures removed from the index: 2 whose files are gone" in caplog.text


def distances(found: Sequence[Any]) -> dict[str, float]:
    """By path. So small a network may find another person nearer than the picture itself."""
    return {one.path: one.distance for one in found}


@pytest.mark.parametrize("broken", [1, 4])
def test_an_index_keeps_what_it_has_of_pictures_that_can_no_longer_be_read(
    broken: int, model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    """All of a gallery was removed where a fault of the disk broke all of its files."""
    into, table = tmp_path / "x.index", crops / "t.csv"
    paths = sorted(crops.glob("*.png"))
    table.write_text("\n".join(["path,camera", *(f"{path.name},1" for path in paths)]))
    whole = [path.read_bytes() for path in paths]
    asked, other = (Image.open(io.BytesIO(picture)) for picture in whole[:2])
    with model.index(table, into) as index:
        before, itself = (distances(model.search(one, index, k=4)) for one in (asked, other))
    for path in paths[:broken]:
        path.write_text("no image")
    with pytest.raises(ImageError, match=f"{broken} of 4 pictures cannot be read"):
        model.index(table, into)
    table.write_text("\n".join(["path,camera", *(f"{path.name},2" for path in paths)]))
    with model.index(table, into, skip_unreadable=True) as index:
        assert list(index.metadata) == [{"camera": 2}] * 4
        assert [one.path for one in model.skipped] == [str(path) for path in paths[:broken]]
        found = model.search(asked, index, k=4)
    assert distances(found) == pytest.approx(before, abs=1e-5)
    # What can be read again is as before, and what is gone goes.
    paths[0].write_bytes(whole[1])
    paths[-1].unlink()
    table.write_text("\n".join(["path", *(path.name for path in paths[:-1])]))
    with model.index(table, into, skip_unreadable=True) as index:
        assert len(index) == 3
        same = distances(model.search(other, index, k=3))
    first, second = (same[str(path)] for path in paths[:2])
    assert first == pytest.approx(second, abs=1e-5)
    assert second == pytest.approx(itself[str(paths[1])], abs=1e-5)


def test_a_refused_source_leaves_an_index_of_an_earlier_version_as_it_is(
    model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    into, other = tmp_path / "x.index", tmp_path / "other"
    model.index(crops, into).close()
    shutil.copytree(crops, other)
    with sqlite3.connect(into / database.FILE) as old:
        old.executescript(
            "DROP TABLE checksums; DELETE FROM about WHERE key = 'checksum';"
            "PRAGMA user_version = 1;"
        )
    old.close()
    with pytest.raises(ValueError, match="name another index"):
        model.index(other, into)
    with Index.open(str(into)) as index:
        assert not index.summed
    model.index(crops, into).close()
    with Index.open(str(into)) as index:
        assert index.summed


def test_a_link_to_an_empty_folder_is_that_folder(
    model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    with model.index(crops, tmp_path / "link") as index:
        assert len(index) == 4
    assert (tmp_path / "link").is_symlink() and (tmp_path / "disk" / database.FILE).exists()


@pytest.mark.parametrize("shut", ["folder", "parent"])
def test_a_place_that_is_shut_is_refused_before_pictures_are_decoded(
    shut: str, model: PartialReID, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    place = tmp_path / "empty" if shut == "folder" else tmp_path

    def access(path: str, _: int) -> bool:  # as for a user who is not root
        return path != str(place)

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr(reading, "read_image", None)
    said = {
        "folder": f'"{place}" may not be opened by this user',
        "parent": f'no index can be made at .*, as this user may not write to "{place}"',
    }
    with pytest.raises(ValueError, match=said[shut]):
        model.index(crops, tmp_path / "empty", skip_unreadable=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops", "empty"]
