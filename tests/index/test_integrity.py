"""Whatever is changed in an index from outside is found, by the check and by who reads it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from partialreid.index import database
from partialreid.index.gallery import Index
from tests.index.made_up import made_index, queries, records

GALLERY = records(range(1, 9))


def changed(tmp_path: Path, statement: str) -> str:
    path = made_index(tmp_path, GALLERY)
    with sqlite3.connect(Path(path, database.FILE)) as other:
        assert other.execute(statement).rowcount != 0
    other.close()
    return path


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM columns WHERE id = 3", '"a/003.jpg" has no columns'),
        ("DELETE FROM coarse WHERE id = 3", '"a/003.jpg" has no coarse'),
        ("DELETE FROM features WHERE id = 3", '"a/003.jpg" has no features'),
        ("DELETE FROM images WHERE id = 3", "there are features of image 3, which is not there"),
        ("DELETE FROM images WHERE id = 3", "there are metadata of image 3, which is not there"),
        ("UPDATE images SET count = 5 WHERE id = 3", '"a/003.jpg" has (24, 10, 12, 72) bytes'),
        (
            "UPDATE coarse SET scale = scale + 1e-9 WHERE id = 3",
            'the coarse of "a/003.jpg" are not what was written',
        ),
        (
            "UPDATE coarse SET levels = zeroblob(10) WHERE id = 3",
            'the coarse of "a/003.jpg" are not what was written',
        ),
        (
            "UPDATE columns SET columns = zeroblob(72) WHERE id = 3",
            'the columns of "a/003.jpg" are not what was written',
        ),
        (
            "UPDATE columns SET weights = zeroblob(12) WHERE id = 3",
            'the columns of "a/003.jpg" are not what was written',
        ),
        (
            "UPDATE features SET feature = zeroblob(24) WHERE id = 3",
            'the features of "a/003.jpg" are not what was written',
        ),
        ("UPDATE about SET value = zeroblob(40) WHERE key = 'mean'", "(its coarse space)"),
        ("DROP INDEX metadata_images", "(what its tables are)"),
        ("UPDATE about SET value = 'x' WHERE key = 'channels'", 'has no "channels"'),
        ("UPDATE about SET value = 13 WHERE key = 'channels'", "is not what was written"),
        ("UPDATE about SET value = '{}' WHERE key = 'about'", "is not what was written"),
        ("UPDATE about SET key = 'mode' WHERE key = 'model'", 'has no "model"'),
        ("UPDATE about SET key = 'x' WHERE key = 'checksum'", 'has no "checksum"'),
        ("DELETE FROM about WHERE key = 'basis'", 'has no "basis"'),
        ("UPDATE images SET size = size + 1 WHERE id = 3", 'what is known of "a/003.jpg" is not'),
        ("UPDATE images SET modified = 0 WHERE id = 3", 'what is known of "a/003.jpg" is not'),
        ("UPDATE images SET content = '' WHERE id = 3", 'what is known of "a/003.jpg" is not'),
        ("UPDATE images SET name = 'b' WHERE id = 3", 'what is known of "b" is not'),
        ("UPDATE images SET name = zeroblob(3) WHERE id = 3", "(what is known of image 3)"),
        ("UPDATE images SET count = 'x' WHERE id = 3", "(what is known of image 3)"),
        ("UPDATE metadata SET value = 7 WHERE id = 3", 'what is known of "a/003.jpg" is not'),
        ("UPDATE metadata SET value = value || '' WHERE id = 3", 'what is known of "a/003.jpg" is'),
        ("DELETE FROM metadata WHERE id = 3", 'what is known of "a/003.jpg" is not'),
        ("DELETE FROM checksums WHERE id = 3", '"a/003.jpg" has no checksums'),
        (
            "UPDATE features SET feature = 'text' WHERE id = 3",
            'the features of "a/003.jpg" are not what was written',
        ),
        (
            "UPDATE coarse SET scale = 'text' WHERE id = 3",
            'the coarse of "a/003.jpg" are not what was written',
        ),
    ],
)
def test_the_check_finds_it(tmp_path: Path, statement: str, said: str) -> None:
    path = changed(tmp_path, statement)
    try:
        with Index.open(path) as index:
            assert any(said in problem for problem in index.check()), index.check()
    except ValueError as error:  # what every reader needs is looked at when it is opened
        assert said in str(error)


@pytest.mark.parametrize(
    ("table", "row"),
    [("columns", "columns = zeroblob(72)"), ("features", "feature = zeroblob(24)")],
)
def test_a_reader_finds_it(tmp_path: Path, table: str, row: str) -> None:
    path = changed(tmp_path, f"UPDATE {table} SET {row} WHERE id = 3")
    with Index.open(path) as index:
        index.images([0, 1]).columns[1]
        with pytest.raises(ValueError, match=r"is damaged .*image 3"):
            index.images([1, 2]).columns[1]


@pytest.mark.parametrize(
    "statement", ["UPDATE features SET feature = 'text'", "DELETE FROM features"]
)
def test_a_search_by_features_finds_it(tmp_path: Path, statement: str) -> None:
    path = changed(tmp_path, f"{statement} WHERE id = 3")
    with Index.open(path) as index, pytest.raises(ValueError, match="is damaged"):
        index.shortlist(queries(), 2, by="global")


def test_a_missing_code_is_not_taken_for_its_neighbour_s(tmp_path: Path) -> None:
    path = changed(tmp_path, "DELETE FROM coarse WHERE id = 3")
    with Index.open(path) as index, pytest.raises(ValueError, match="is damaged"):
        index.shortlist(queries(), 2)


def test_a_wrong_count_names_the_index_and_the_cure(tmp_path: Path) -> None:
    path = changed(tmp_path, "UPDATE images SET count = count - 1 WHERE id = 3")
    wanted = rf'the index "{path}" is damaged \(the columns of image 3: .*make it again'
    with Index.open(path) as index, pytest.raises(ValueError, match=wanted):
        index.images([2]).columns[0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE images SET modified = modified + 1 WHERE id = 3",
        "UPDATE metadata SET value = 1000 WHERE id = 3",
    ],
)
def test_what_is_known_is_not_shown_nor_written_anew_where_it_was_changed(
    tmp_path: Path, statement: str
) -> None:
    path, name = changed(tmp_path, statement), GALLERY[2].name
    with Index.open(path, write=True) as index:
        for use in (
            lambda: index.metadata[2],
            lambda: index.stamp(2),
            lambda: index.restamp({name: GALLERY[2].stamp}),
            lambda: index.set_metadata({name: {}}),
            lambda: index.put([GALLERY[2]._replace(metadata=None)]),
        ):
            with pytest.raises(ValueError, match=r"is damaged \(what is known of image 3\)"):
                use()
        assert index.metadata[1] == GALLERY[1].metadata and index.stamp(1) == GALLERY[1].stamp
        index.put([GALLERY[2]])  # all of it is new
        assert index.check() == []


@pytest.mark.parametrize("what", ["levels = zeroblob(10)", "scale = scale * 1.0001"])
def test_a_search_finds_it(tmp_path: Path, what: str) -> None:
    path = changed(tmp_path, f"UPDATE coarse SET {what} WHERE id = 3")
    with (
        Index.open(path) as index,
        pytest.raises(ValueError, match=r"is damaged .the coarse code of image 3"),
    ):
        index.shortlist(queries(), 2)


def test_a_bit_of_the_disk_is_found(tmp_path: Path) -> None:
    """One bit of each image's columns, in the file itself: SQLite does not see it."""
    path = made_index(tmp_path, GALLERY)
    file = Path(path, database.FILE)
    data = bytearray(file.read_bytes())
    wanted = GALLERY[3].columns.numpy().tobytes()
    place = data.index(wanted) + 17
    data[place] ^= 4
    file.write_bytes(data)
    with Index.open(path) as index:
        assert index.check() == ['the columns of "a/004.jpg" are not what was written']
