"""What is put into an index comes back bit by bit, until it is replaced or removed."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from partialreid.index import database
from partialreid.index.gallery import Index
from partialreid.matching.reconstruction import reconstruction_distance
from tests.index.made_up import MODEL, assert_holds, images, made_index, queries, record, records
from tests.reconstruction_oracle import oracle


def test_an_empty_index(tmp_path: Path) -> None:
    with Index.open(made_index(tmp_path), MODEL) as index:
        assert_holds(index, [])
        assert (index.model, index.about, index.commit) == (MODEL, {"folder": "crops"}, 0)
        assert index.images([]).features.shape == (0, 0)
        assert index.shortlist(queries(), 3).shape == (5, 0)
        assert index.rough_distances(queries()).shape == (5, 0)


def test_what_is_put_comes_back(tmp_path: Path) -> None:
    path = made_index(tmp_path, records(range(9)), records([20]), [])
    with Index.open(path, MODEL) as index:
        assert_holds(index, records([*range(9), 20]))
        some = index.images(torch.tensor([9, 0, 4]))
        assert torch.equal(some.features, images(records([20, 0, 4])).features)
        assert list(some.columns.counts) == [6, 0, 4]
        assert torch.equal(some.weights[-1], record(4).weights)
        assert [len(w) for w in some.weights[1:]] == [0, 4]
        for wrong in (-1, 3):
            with pytest.raises(IndexError):
                some.columns[wrong]
        assert index.rows_of(["a/020.jpg", "a/001.jpg"]).tolist() == [9, 1]
        assert index.bytes >= os.path.getsize(Path(path, database.FILE))


def test_images_are_matched_from_the_disk(tmp_path: Path) -> None:
    """Their columns are a source of the matching: the distances are those of the oracle."""
    gallery, query = records(range(1, 9)), queries()
    with Index.open(made_index(tmp_path, gallery)) as index:
        found = reconstruction_distance(
            query.columns, index.images(range(8)).columns, query.weights
        )
    wanted = oracle(query.columns, images(gallery).columns, query.weights)
    # A column beyond the span of the gallery has a residual near 1, good to float32's rounding.
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=0)


def test_images_are_replaced_and_removed(tmp_path: Path) -> None:
    path = made_index(tmp_path, records(range(6)))
    with Index.open(path, write=True) as index:
        index.put([record(2, seed=5), record(9), record(4, seed=5, metadata=None)])
        kept = record(4, seed=5)
        assert_holds(index, [*records([0, 1, 3, 5]), record(2, seed=5), record(9), kept])
        index.remove(["a/000.jpg", "a/004.jpg"])
        left = [*records([1, 3, 5]), record(2, seed=5), record(9)]
        assert_holds(index, left)
        before = index.commit
        for names in (["a/001.jpg", "gone.jpg"], ["a/000.jpg"]):
            with pytest.raises(ValueError, match="has no image"):
                index.remove(names)
        assert index.commit == before
    with Index.open(path) as index:
        assert_holds(index, left)


def test_the_room_of_what_was_removed_is_used_again(tmp_path: Path) -> None:
    wide = {"columns": torch.zeros(12, 9000).half(), "weights": torch.zeros(9000)}
    some = [record(number, **wide) for number in range(6)]
    path = made_index(tmp_path, some)
    size = os.path.getsize(Path(path, database.FILE))
    for _ in range(3):
        with Index.open(path, write=True) as index:
            index.put(some)
            index.remove([record(0).name])
            index.put(some[:1])
    assert os.path.getsize(Path(path, database.FILE)) < 1.5 * size


def test_nothing_of_a_removed_image_is_left(tmp_path: Path) -> None:
    path = made_index(tmp_path, records(range(20)))
    gone = [record(number) for number in (5, 12)]
    parts = [part.numpy().tobytes() for some in gone for part in (some.feature, some.columns)]

    def left() -> list[bool]:
        whole = b"".join(file.read_bytes() for file in Path(path).iterdir())
        return [part in whole for part in parts]

    assert left() == [True] * 4
    with Index.open(path, write=True) as index:
        index.remove([gone[0].name])
        index.put([record(12, seed=3)])
    assert left() == [False] * 4


def test_metadata_is_replaced_alone(tmp_path: Path) -> None:
    with Index.open(made_index(tmp_path, records(range(3))), write=True) as index:
        index.set_metadata({"a/001.jpg": {"who": "0012", "age": 1.5}})
        assert [index.metadata[1], index.metadata[0]] == [
            {"age": 1.5, "who": "0012"},
            {"camera": 0, "day": "tue"},
        ]
        for bad in (None, float("nan"), float("-inf"), 2**63, ["a"]):
            with pytest.raises(ValueError, match="must be text, or a finite number"):
                index.set_metadata({"a/000.jpg": {"camera": 3}, "a/001.jpg": {"who": bad}})
        assert [index.metadata[0]] == [{"camera": 0, "day": "tue"}]


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"feature": torch.zeros(7)}, "must be alike in channels, dimensions, features"),
        ({"feature": torch.zeros(6).half()}, "must be alike"),
        ({"columns": torch.zeros(13, 4)}, "must be alike"),
        ({"feature": torch.zeros(6).double()}, "float32 or float16, not in float64"),
        ({"columns": torch.zeros(12, 3)}, r"not \(6,\), \(12, 3\), \(4,\)"),
        ({"weights": torch.tensor([1.0, 1, 1, torch.nan])}, "infinity or NaN"),
        ({"columns": torch.full((12, 4), 1e6)}, "too large for float16"),
        ({"name": "a\udcff.jpg"}, "is not UTF-8"),
        ({"metadata": {"camera": None}}, "must be text, or a finite number"),
        ({"name": "a/000.jpg"}, 'must have different names; more than one is "a/000.jpg"'),
    ],
)
def test_what_does_not_fit_is_refused_as_a_whole(tmp_path: Path, changed, match: str) -> None:
    path = made_index(tmp_path, records([1]))
    with Index.open(path, write=True) as index:
        with pytest.raises(ValueError, match=match):
            index.put([record(0), record(4, **changed)])
        assert_holds(index, records([1]))


def test_columns_are_rounded_and_features_may_be_half(tmp_path: Path) -> None:
    exact = record(5, columns=torch.full((12, 5), 1 / 3), feature=record(5).feature.half())
    with Index.open(made_index(tmp_path, [exact])) as index:
        assert_holds(index, [exact._replace(columns=exact.columns.half())])


def test_a_file_without_room_is_refused_before_it_is_written(tmp_path: Path, monkeypatch) -> None:
    path = made_index(tmp_path, records(range(3)))
    usage = namedtuple("usage", "total used free")
    with Index.open(path, write=True) as index:
        index.require_room(1000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 50_000))
        with pytest.raises(OSError, match=r"needs .* GB more, and there is room for"):
            index.require_room(1000)
        with pytest.raises(OSError, match="make room there"):
            index.put(records(range(3, 30)))
        assert_holds(index, records(range(3)))
