"""Conditions on what is known of images, and tables that say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from partialreid.index.gallery import Index
from partialreid.index.selection import number_or_text
from partialreid.index.table import read_table
from tests.index.made_up import made_index, record

KNOWN = [
    {"camera": 1, "time": "2024-05-01T10:00", "who": "0012"},
    {"camera": 2, "time": "2024-05-01T23:59"},
    {"camera": 10, "time": "2024-05-02", "who": "12", "height": 1.5},
    {},
    {"camera": 2.0, "who": "x'; DROP TABLE images; --", "a b": "="},
    {"camera": "10", "identity": "12"},  # as text, which is before "2"
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    some = [record(number, metadata=known) for number, known in enumerate(KNOWN)]
    return made_index(tmp_path_factory.mktemp("index"), some)


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ([], [0, 1, 2, 3, 4, 5]),
        ({"camera": 2}, [1, 4]),
        ({"camera": "2"}, [1, 4]),
        ({"camera": 10}, [2]),
        ("camera=10", [2, 5]),
        ({"camera": [1, 2]}, [0, 1, 4]),
        ({"camera": (), "who": "12"}, []),
        ({"camera": [1, 2], "who": "0012"}, [0]),
        ({"who": "x'; DROP TABLE images; --"}, [4]),
        (["camera>=2"], [1, 2, 4]),
        (["camera < 10"], [0, 1, 4]),
        (["camera>2", "camera<=10"], [2]),
        (["time<2024-05-02"], [0, 1]),
        (["time>=2024-05-01T12"], [1, 2]),
        (["height>1.4e0"], [2]),
        (["who=0012"], [0]),
        (["who=12"], [2]),
        (["a b=="], [4]),
        ({"identity": 12}, [5]),
        ({"identity": "12"}, [5]),
        ("identity=12", [5]),
        ({"identity": 12.5}, []),
    ],
)
def test_images_for_which_all_holds(path: str, where, wanted: list[int]) -> None:
    with Index.open(path) as index:
        assert index.select(where).tolist() == wanted


@pytest.mark.parametrize(
    ("where", "match"),
    [
        (["camera"], r'"camera" is no condition: write NAME=VALUE'),
        (["=3"], "is no condition"),
        (["camera!=3"], r'"camera!=3" is no condition: write NAME=VALUE, or < <= > >= for ='),
        (["camera ! = 3"], "is no condition"),
        (["camera==3"], "is no condition"),
        (["camera== 3"], "is no condition"),
        (["camera<>3"], "is no condition"),
        (["camera=>3"], "is no condition"),
        (["!=3"], "is no condition"),
        ({"camera": None}, '"camera" is to be None, which is neither text nor a number'),
        ({"camera": [3, (4,)]}, r'"camera" is to be \(4,\), which is neither'),
        ({"who": b"12"}, "\"who\" is to be b'12', which is neither"),
        ({"camera": 2**70}, f'"camera" is to be {2**70}, and no image has a number of over 64'),
        ({"camera": [3, -(2**63) - 1]}, "over 64 bits"),
        ({"colour": 3}, r'has "colour": known is a b, camera, height, identity, time, who\.'),
        (["1=1) OR (1=1"], 'has "1"'),
    ],
)
def test_what_is_no_condition_is_refused(path: str, where, match: str) -> None:
    with Index.open(path) as index, pytest.raises(ValueError, match=match):
        index.select(where)


def test_places_follow_what_is_removed(path: str, tmp_path: Path) -> None:
    some = [record(number, metadata=known) for number, known in enumerate(KNOWN)]
    with Index.open(made_index(tmp_path, some), write=True) as index:
        index.remove(["a/000.jpg", "a/003.jpg"])
        rows = index.select({"camera": 2})
        assert [index.names[row] for row in rows] == ["a/001.jpg", "a/004.jpg"]
        index.remove(["a/001.jpg", "a/002.jpg", "a/004.jpg", "a/005.jpg"])
        with pytest.raises(ValueError, match="known is nothing"):
            index.select({"camera": 2})


def test_what_a_number_is() -> None:
    texts = ["3", "-4", "0", "1.50", "2e3", "123456789012345678"]
    assert [number_or_text(text) for text in texts] == [3, -4, 0, 1.5, 2000.0, 123456789012345678]
    for text in ("", "007", "1_000", "nan", "inf", "0x1", "+3", "1234567890123456789", "３", " 3"):
        assert number_or_text(text) == text


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table(tmp_path: Path, delimiter: str) -> None:
    lines = [
        ["path", "camera", "who", "time"],
        ["a/1.jpg", "3", "0012", "2024"],
        ["a\\2.jpg", "4.5", "12", ""],
        ["a/3.jpg", "", "12", "May"],
    ]
    file = tmp_path / "table.csv"
    text = "\r\n".join(delimiter.join(line) for line in lines)
    file.write_text(text, encoding="utf-8-sig")
    assert read_table(str(file)) == {
        "a/1.jpg": {"camera": 3, "who": "0012", "time": "2024"},
        "a/2.jpg": {"camera": 4.5, "who": "12"},
        "a/3.jpg": {"who": "12", "time": "May"},
    }


def test_names_that_look_like_numbers_stay_apart(tmp_path: Path) -> None:
    """1.1 and 1.10 are two people, and may be two versions or two doors."""
    file = tmp_path / "table.csv"
    lines = ["path,identity,door,floor,height", "a.jpg,1.1,1.1,1,1.5", "b.jpg,1.10,1.10,2,2.5"]
    file.write_text("\n".join([*lines, "c.jpg,3,1.2,1,1.5"]))
    assert read_table(str(file)) == {
        "a.jpg": {"identity": "1.1", "door": "1.1", "floor": 1, "height": 1.5},
        "b.jpg": {"identity": "1.10", "door": "1.10", "floor": 2, "height": 2.5},
        "c.jpg": {"identity": "3", "door": "1.2", "floor": 1, "height": 1.5},
    }


def test_spaces_beside_a_comma_belong_to_nothing(tmp_path: Path) -> None:
    """With `, identity` nobody had an identity, and all probabilities were others."""
    file = tmp_path / "table.csv"
    file.write_text("path, identity , camera\na b/1.jpg , anna b , 3\n c.jpg, , 4\n")
    assert read_table(str(file)) == {
        "a b/1.jpg": {"identity": "anna b", "camera": 3},
        "c.jpg": {"camera": 4},
    }


def test_paths_of_a_table_are_the_shortest(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(f"path,,\n./a//b.jpg,,\n{tmp_path}/c.jpg,,\n../d.jpg,,\n")
    assert list(read_table(str(file))) == ["a/b.jpg", f"{tmp_path}/c.jpg", "../d.jpg"]
    with file.open("a") as more:
        more.write("c.jpg,,\n")
    with pytest.raises(ValueError, match=r'row 3 as "/.*/c.jpg", in row 5 as "c.jpg"'):
        read_table(str(file))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"file,camera\na,3\n", 'has no column "path"'),
        (b"", 'has no column "path"'),
        (b"path,camera\na,3\na,4\n", 'names "a" twice'),
        (b"path,camera\na/b,3\nc,1\na/./b,4\n", 'row 2 as "a/b", in row 4 as "a/./b"'),
        (b"path,camera\nb,3\na\\..\\b,4\n", 'names "b" twice: in row 2 as "b", in row 3'),
        (b"path,camera,camera\na,3,4\n", r'table.csv" has two columns "camera"'),
        (b"path, camera,camera \na,3,4\n", r'has two columns "camera"'),
        (b"path,camera\n ,3\n", "row 2 of the table .* has no path"),
        (b"path,path,\na,b,\n", 'has two columns "path"'),
        (b"path,camera\na,3,4\n", "row 2 of the table .* has not 2 values"),
        (b"path,camera\nb,1\na\n", "row 3 of the table .* has not 2 values"),
        (b"path,camera\n\xff\xfe,3\n", "is no CSV file in UTF-8"),
        (b'path,camera\na,"3\n', "is no CSV file in UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: bytes, match: str) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(text)
    with pytest.raises(ValueError, match=match):
        read_table(str(file))
