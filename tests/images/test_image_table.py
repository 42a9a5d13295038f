"""Images that a CSV file lists, as spreadsheets write it, and what is wrong with such files."""

from __future__ import annotations

from pathlib import Path

import pytest

from partialreid.images.image_table import listed_images

HEAD = "path,identity,camera,split\n"


def table(folder: Path, text: str | bytes) -> str:
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_the_parts_of_a_list(tmp_path: Path) -> None:
    text = (
        "split,path,note,identity,camera\r\n"
        'query,"a, b/1.jpg",x,"Lee, Anna", door \r\n'
        "gallery,/far/away/2.jpg,,Zoe\u0301,7\r\n"
        "\r\n"
        "train,./sub/../3.jpg,,5,\r\n"
        "train,c\\4.jpg,,5,\r\n"
    )
    # As Excel saves it.
    found = listed_images(table(tmp_path, b"\xef\xbb\xbf" + text.encode()))
    assert found == {
        "query": [(str(tmp_path / "a, b/1.jpg"), "Lee, Anna", "door")],
        "gallery": [("/far/away/2.jpg", "Zo\u00e9", "7")],
        "train": [(str(tmp_path / "3.jpg"), "5", None), (str(tmp_path / "c/4.jpg"), "5", None)],
    }


def test_no_column_of_cameras(tmp_path: Path) -> None:
    found = listed_images(table(tmp_path, "path,identity,split\na.jpg,anna,query\n"))
    assert found["query"] == [(str(tmp_path / "a.jpg"), "anna", None)]


def test_spaces_beside_a_comma(tmp_path: Path) -> None:
    text = "path, identity, camera , split\na b.jpg, anna, door, query\n"
    found = listed_images(table(tmp_path, text))
    assert found["query"] == [(str(tmp_path / "a b.jpg"), "anna", "door")]


def test_columns_in_capital_letters(tmp_path: Path) -> None:
    found = listed_images(table(tmp_path, "Path,Identity,CAMERA,Split\na.jpg,anna,door,query\n"))
    assert found["query"] == [(str(tmp_path / "a.jpg"), "anna", "door")]


def test_spaces_before_quotes(tmp_path: Path) -> None:
    text = f'{HEAD}a.jpg, "Lee, Bob", 1, query\nb.jpg, "Lee, Bob",2, gallery\n'
    found = listed_images(table(tmp_path, text))
    assert {image[1] for part in found.values() for image in part} == {"Lee, Bob"}


def test_a_backslash_that_belongs_to_a_name(tmp_path: Path) -> None:
    (tmp_path / "a\\1.jpg").touch()
    found = listed_images(table(tmp_path, HEAD + "a\\1.jpg,anna,,query\n"))
    assert found["query"][0][0] == str(tmp_path / "a\\1.jpg")


def test_a_query_may_lie_in_the_gallery(tmp_path: Path) -> None:
    found = listed_images(table(tmp_path, HEAD + "a.jpg,anna,1,query\na.jpg,anna,1,gallery\n"))
    assert found["query"] == found["gallery"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"no column path and no column identity and no column split: its first line is ''"),
        ("path,person,split\n", "no column identity: its first line is 'path,person,split'"),
        ("path;identity;split\n", "'path;identity;split'; write .* separated by commas"),
        ("path,identity,path,split\n", '" has two columns path: take'),
        ("path,identity,camera,split,camera\n", "has two columns camera: take one of them out"),
        ("path,identity,CamID,split\n", "column camid and none that is called camera: call it so"),
        (f"{HEAD}a.jpg,anna,1\n", "line 2: there is no split"),
        (f"{HEAD}a.jpg,,1,query\n", "line 2: there is no identity"),
        (f"{HEAD}a.jpg,anna,1,query\n ,bob,1,query\n", "line 3: there is no path"),
        (f"{HEAD}a.jpg,Lee, Anna,1,query\n", "line 2: it has more cells .* quotes"),
        (f"{HEAD}a.jpg,anna,1,test\n", "line 2: the split is 'test'; it can be train, query"),
        (f'{HEAD}a.jpg,"an"na,1,query\n', "line 2: it is no CSV"),
        (f"{HEAD}a.jpg,Zo\u00e9,1,query\n".encode("latin-1"), 'is not UTF-8: save it as "CSV UTF'),
        (
            f"{HEAD}a.jpg,anna,1,query\nb.jpg,bob,1,query\n./a.jpg,anna,2,query\n",
            r'line 4: ".*a\.jpg" is listed for query, and in line 2 for query',
        ),
        (
            f"{HEAD}a.jpg,anna,1,gallery\na.jpg,anna,1,train\n",
            r'line 3: ".*a\.jpg" is listed for train, and in line 2 for gallery',
        ),
    ],
)
def test_what_is_wrong_with_a_list(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = table(tmp_path, text)
    with pytest.raises(ValueError, match=said) as caught:
        listed_images(path)
    assert str(caught.value).startswith(f'"{path}"') and "\n" not in str(caught.value)
