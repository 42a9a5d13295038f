"""Files, folders, tables and lists become pictures and what is known of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partialreid.images.reading import unreadable
from partialreid.search.sources import pictures_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "sub/a.jpg", "c d.png"):
        (tmp_path / "crops" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 8)).save(tmp_path / "crops" / name)
    return tmp_path / "crops"


def test_a_folder_is_all_its_images_in_order(folder: Path) -> None:
    (folder / "note.txt").write_text("no image")
    found = pictures_of(f"{folder}/")
    assert [Path(path).name for path in found.pictures] == ["a.jpg", "b.png", "c d.png"]
    assert found.metadata == [{}, {}, {}]


def test_one_picture_and_a_list(folder: Path) -> None:
    picture = np.zeros((3, 3, 3), np.uint8)
    assert pictures_of(folder / "b.png").pictures == [str(folder / "b.png")]
    assert pictures_of(picture).pictures[0] is picture
    assert len(pictures_of(iter([picture, folder / "b.png"])).pictures) == 2


def test_a_table_has_paths_beside_it_and_what_is_known(folder: Path) -> None:
    table = folder / "list.csv"
    table.write_text("path,identity,camera\nb.png,Anna,3\nsub/a.jpg,Änne,\n", encoding="utf-8-sig")
    found = pictures_of(table)
    assert found.pictures == [str(folder / "b.png"), str(folder / "sub" / "a.jpg")]
    assert found.metadata == [
        {"identity": "Anna", "camera": 3},
        {"identity": "Änne"},
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,camera\n", "has no rows"),
        ("file,camera\na.jpg,1\n", 'no column "path"'),
        ("path,camera\na.jpg\n", "row 2"),
        ("path,camera\na.jpg,1\nb.jpg,1,2\n", "row 3"),
        ("path,camera\n,1\n", "row 2"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError) as caught:
        pictures_of(tmp_path / "list.csv")
    assert said in str(caught.value) and "list.csv" in str(caught.value)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no images"):
        pictures_of(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nobody\.jpg"):
        pictures_of(tmp_path / "nobody.jpg")


def test_files_that_cannot_be_read_are_found(folder: Path) -> None:
    data = (folder / "b.png").read_bytes()
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    (folder / "text.jpg").write_text("no image")
    broken = unreadable(pictures_of(folder).pictures)
    assert [Path(one.path).name for one in broken] == ["cut.png", "text.jpg"]
    assert all(one.path in one.reason for one in broken)
