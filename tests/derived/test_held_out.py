"""Identities that are kept from training, and the test set made of them."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from partialreid.data.catalogue import held_out_stem, load_dataset, train_items
from partialreid.derived.held_out import (
    HeldOutSet,
    held_out_identities,
    without_held_out,
)
from partialreid.engine.checks import check_config, check_test_sets


def items(cameras_of: dict[str, str]) -> list[tuple[str, str, str]]:
    """Two images of each identity in each of its cameras, in no order."""
    made = [
        (f"{pid}_{camera}_{shot}.jpg", f"set_{pid}", f"set_{camera}")
        for pid, cameras in cameras_of.items()
        for camera in cameras
        for shot in (1, 0)
    ]
    return made[::-1]


def test_fewer_are_among_more() -> None:
    train = items({f"{n}": "ab" for n in range(30)})
    chosen = [held_out_identities(train, n) for n in range(30)]
    assert [len(c) for c in chosen] == list(range(30))
    assert all(few < more for few, more in itertools.pairwise(chosen))
    assert held_out_identities(train[::-1], 7) == chosen[7]
    assert chosen[7] != {f"set_{n}" for n in range(7)}
    left = without_held_out(train, 7)
    assert {pid for _, pid, _ in left} | chosen[7] == {pid for _, pid, _ in train}
    assert not {pid for _, pid, _ in left} & chosen[7]
    with pytest.raises(ValueError, match=r"DATASETS.HELD_OUT is 30, but there are only 30"):
        held_out_identities(train, 30)


def test_one_query_of_each_identity_in_each_camera() -> None:
    cameras = {f"{n}": "abc"[: 1 + n % 3] for n in range(30)}
    train = items(cameras)
    made = HeldOutSet("Some", SimpleNamespace(train=train), 12)
    chosen = held_out_identities(train, 12)
    seen = [cameras[str(pid).removeprefix("set_")] for pid in chosen]
    assert {len(c) for c in seen} == {1, 2, 3}
    assert len(made.query) == sum(len(c) for c in seen if len(c) > 1)
    assert max(Counter((pid, camera) for _, pid, camera in made.query).values()) == 1
    assert len(made.query) + len(made.gallery) == 2 * sum(len(c) for c in seen)
    assert not {p for p, *_ in made.query} & {p for p, *_ in made.gallery}
    assert all(isinstance(x, int) for item in made.query for x in item[1:])
    # Names and numbers say the same.
    numbers = {(path.split("_")[0], pid) for path, pid, _ in [*made.query, *made.gallery]}
    assert len(numbers) == 12
    assert {f"set_{name}" for name, _ in numbers} == chosen
    assert not {pid for _, pid, _ in made.train} & chosen


def test_a_query_has_something_to_find() -> None:
    """Two cameras with one image each: both would be queries, and neither have a match."""
    single = [(f"{pid}_{camera}.jpg", pid, camera) for pid in "xyz" for camera in "ab"]
    more = [("y_a2.jpg", "y", "a"), ("z_b2.jpg", "z", "b"), ("w.jpg", "w", "a")]
    whole = SimpleNamespace(train=[*single, *more])
    held_out = held_out_identities(whole.train, 3)
    made = HeldOutSet("Some", whole, 3)
    expected = {"y": "y_b.jpg", "z": "z_a.jpg"}
    assert sorted(p for p, *_ in made.query) == sorted(
        expected[str(pid)] for pid in held_out if pid in expected
    )


def test_of_one_camera_the_gallery_counts_as_another() -> None:
    """No cameras are told apart there: the first image is looked for among the others."""
    train = [*items({f"{n}": "a" for n in range(6)}), ("alone.jpg", "set_alone", "set_a")]
    made = HeldOutSet("SomeHeldOut", SimpleNamespace(train=train), 6)
    chosen = held_out_identities(train, 6)
    names = sorted(str(pid).removeprefix("set_") for pid in chosen - {"set_alone"})
    assert len(names) >= 5
    assert [path for path, *_ in made.query] == [f"{name}_a_0.jpg" for name in names]
    assert {camera for *_, camera in made.query} == {0}
    found = [item for item in made.gallery if item[0] != "alone.jpg"]
    assert [path for path, *_ in found] == [f"{name}_a_1.jpg" for name in names]
    assert {camera for *_, camera in found} == {1}
    assert len(made.gallery) - len(found) == ("set_alone" in chosen)


def test_names() -> None:
    assert held_out_stem("Market1501HeldOut") == "Market1501"
    assert held_out_stem("Market1501") is None
    assert held_out_stem("HeldOut") is None
    assert held_out_stem("NoSuchHeldOut") is None


@pytest.fixture
def cfg(make_config, make_market, tmp_path: Path):
    tests = ("Market1501HeldOut", "Market1501HeldOutPartial", "Market1501HeldOutOccluded")
    return make_config(
        *("DATASETS.ROOT", str(make_market(tmp_path / "data"))),
        *("DATASETS.NAMES", ("Market1501",)),
        *("DATASETS.TESTS", tests),
        *("DATASETS.HELD_OUT", 2),
        *("INPUT.SIZE_TEST", [256, 128]),
        *("MODEL.META_ARCHITECTURE", "PartialBaseline", "MODEL.HEADS.NAME", "DSRHead"),
    )


def test_training_and_test_set_share_no_identity(cfg) -> None:
    check_config(cfg, 1, eval_only=True)
    check_test_sets(cfg)
    trained = {path for path, *_ in train_items(cfg)}
    made = load_dataset(cfg, "Market1501HeldOut")
    tested = {path for path, *_ in [*made.query, *made.gallery]}
    assert len(trained) == len(tested) == 8
    assert not trained & tested
    assert len(made.query) == 4
    cfg.DATASETS.HELD_OUT = 0
    assert {path for path, *_ in train_items(cfg)} == trained | tested


def test_queries_are_cut_and_hidden_like_others(cfg, tmp_path: Path) -> None:
    whole = load_dataset(cfg, "Market1501HeldOut")
    for suffix in ("Partial", "Occluded"):
        made = load_dataset(cfg, f"Market1501HeldOut{suffix}")
        assert made.gallery == whole.gallery
        assert [item[1:] for item in made.query] == [item[1:] for item in whole.query]
        folder = Path(made.query[0][0]).parents[1]
        # Another number of identities is another folder.
        assert folder.name.startswith(f"Market1501HeldOut2{suffix}")
        heights = {Image.open(path).height for path, *_ in made.query}
        assert heights == {16} if suffix == "Occluded" else max(heights) < 16


def test_what_cannot_be_held_out(cfg) -> None:
    cfg.DATASETS.HELD_OUT = 0
    with pytest.raises(ValueError, match=r"Market1501HeldOut needs .* set DATASETS.HELD_OUT"):
        check_test_sets(cfg)
    cfg.DATASETS.HELD_OUT = 4
    with pytest.raises(ValueError, match=r"DATASETS.HELD_OUT is 4, but there are only 4"):
        train_items(cfg)
    cfg.DATASETS.HELD_OUT = -1
    with pytest.raises(ValueError, match=r"DATASETS.HELD_OUT is -1"):
        check_config(cfg, 1, eval_only=True)
    cfg.DATASETS.HELD_OUT, cfg.DATASETS.COMBINEALL = 1, True
    with pytest.raises(ValueError, match="COMBINEALL"):
        check_config(cfg, 1, eval_only=True)
