"""SyntheticPartial: the same pictures from the same seed, and pictures worth searching in."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

import partialreid.synthetic.dataset as synthetic
from partialreid.synthetic.camera import CAMERAS
from partialreid.synthetic.identity import TOP_COLOURS
from partialreid.synthetic.images import (
    HEIGHT,
    HIDDEN_RANGE,
    WIDTH,
    cut_query,
    hidden_query,
    identity_of,
    whole_image,
)

TRAIN_IDS, TEST_IDS = 3, 4


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def dataset(root: Path) -> synthetic.SyntheticPartial:
    return make(root)


def make(root: Path, seed: int = 0, **kwargs: object) -> synthetic.SyntheticPartial:
    return synthetic.SyntheticPartial(
        root=str(root),
        synthetic_seed=seed,
        synthetic_train_ids=TRAIN_IDS,
        synthetic_test_ids=TEST_IDS,
        **kwargs,
    )


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def read(path: str) -> np.ndarray:
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    assert image is not None, path
    return image[..., ::-1]


def manifest(dataset: synthetic.SyntheticPartial) -> dict:
    return json.loads((dataset.folder / "manifest.json").read_text())


def test_registered_under_its_name():
    assert synthetic.DATASET_REGISTRY.get("SyntheticPartial") is synthetic.SyntheticPartial


def test_same_seed_same_bytes_in_any_order(dataset, tmp_path, monkeypatch):
    forwards = synthetic.plan
    monkeypatch.setattr(synthetic, "plan", lambda *args: reversed(list(forwards(*args))))
    again = make(tmp_path)
    assert again.folder != dataset.folder
    assert contents(again.folder) == contents(dataset.folder)


def test_another_seed_draws_other_pictures(dataset, tmp_path):
    other = make(tmp_path, seed=1)
    assert other.folder.name != dataset.folder.name
    assert identity_of(0, 0) != identity_of(1, 0)
    ours, theirs = contents(dataset.folder / "train"), contents(other.folder / "train")
    assert ours.keys() == theirs.keys()
    assert all(ours[name] != theirs[name] for name in ours)


def test_a_person_does_not_depend_on_how_many_there_are(dataset, tmp_path):
    smaller = synthetic.SyntheticPartial(tmp_path, synthetic_train_ids=2, synthetic_test_ids=2)
    ours, theirs = contents(dataset.folder / "train"), contents(smaller.folder / "train")
    assert len(theirs) == 24
    assert {name: ours[name] for name in theirs} == theirs


def test_is_drawn_once(dataset, root, monkeypatch):
    monkeypatch.setattr(synthetic, "build", lambda *args: pytest.fail("drawn twice"))
    # What the loader passes for the real sets, too, changes nothing here.
    assert make(root, cameras="filename", derived_seed=3).query == dataset.query


def test_counts_labels_and_order(dataset):
    assert len(dataset.train) == 12 * TRAIN_IDS
    assert len(dataset.gallery) == len(dataset.query) == 4 * TEST_IDS
    assert set(Counter(pid for _, pid, _ in dataset.train).values()) == {12}
    assert {pid for _, pid, _ in dataset.train} == {
        f"syntheticpartial_{number}" for number in range(TRAIN_IDS)
    }
    assert {camid for _, _, camid in dataset.train} == {
        f"syntheticpartial_{camera}" for camera in range(CAMERAS)
    }
    expected = set(range(TRAIN_IDS, TRAIN_IDS + TEST_IDS))  # disjoint from training
    assert {pid for _, pid, _ in dataset.query} == expected
    assert {pid for _, pid, _ in dataset.gallery} == expected
    for items in (dataset.train, dataset.query, dataset.gallery):
        assert items == sorted(set(items))
    counts = {"train": 12 * TRAIN_IDS, "query": 4 * TEST_IDS, "gallery": 4 * TEST_IDS}
    assert manifest(dataset)["counts"] == counts


def test_labels_are_those_of_the_file_names(dataset):
    for path, pid, camid in dataset.query + dataset.gallery:
        assert Path(path).name.startswith(f"{pid:04d}_c{camid + 1}_")


def test_every_query_has_four_matches_from_other_cameras(dataset):
    for _, pid, camid in dataset.query:
        cameras = [c for _, other, c in dataset.gallery if other == pid]
        assert len(set(cameras)) == len(cameras) == 4
        assert camid not in cameras


def test_whole_pictures_have_one_size_and_are_not_flat(dataset):
    for path, _, _ in dataset.train + dataset.gallery:
        image = read(path)
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert image.std() > 10


def test_queries_are_stored_as_the_manifest_says(dataset):
    records = manifest(dataset)["queries"]
    assert sorted(records) == [Path(path).name for path, _, _ in dataset.query]
    assert Counter(record["kind"] for record in records.values()) == {
        "cut": 2 * TEST_IDS,
        "hidden": 2 * TEST_IDS,
    }
    for path, _, _ in dataset.query:
        record = records[Path(path).name]
        x0, y0, x1, y1 = record["kept"]
        assert read(path).shape == (y1 - y0, x1 - x0, 3)
        if record["kind"] == "hidden":
            assert record["kept"] == [0, 0, WIDTH, HEIGHT]
        a0, b0, a1, b1 = record["missing"]
        assert 0 <= a0 < a1 <= WIDTH and 0 <= b0 < b1 <= HEIGHT
        assert 0.2 < record["visible"] < 0.95


@pytest.mark.parametrize("number", range(8))
def test_cut_query_is_a_part_of_the_whole_picture(number):
    query = cut_query(0, number, number % CAMERAS, 1)
    whole = whole_image(0, number, number % CAMERAS, 1)
    x0, y0, x1, y1 = query.kept
    np.testing.assert_array_equal(query.image, whole[y0:y1, x0:x1])
    a0, b0, a1, b1 = query.missing
    # The two boxes share a side and fill the picture.
    assert (x1 - x0) * (y1 - y0) + (a1 - a0) * (b1 - b0) == WIDTH * HEIGHT
    assert query.image.shape[0] < HEIGHT or query.image.shape[1] < WIDTH
    assert query.what == ("top" if y0 else "left" if x0 else "bottom" if y1 < HEIGHT else "right")


@pytest.mark.parametrize("number", range(12))
def test_hidden_query_differs_where_the_object_is(number):
    camera = number % CAMERAS
    query = hidden_query(0, number, camera, 2)
    changed = np.abs(query.image.astype(int) - whole_image(0, number, camera, 2).astype(int)).max(2)
    x0, y0, x1, y1 = query.missing
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[max(y0 - 10, 0) : y1 + 10, max(x0 - 10, 0) : x1 + 10] = False
    # The lens blurs across the edge and JPEG works in blocks of up to 16 pixels: hence the margin.
    assert not (changed[outside] > 24).any()
    assert (changed[y0:y1, x0:x1] > 24).mean() > 0.3
    low, high = HIDDEN_RANGE
    assert low - 0.1 <= 1 - query.visible <= high + 0.1


def clothes(image: np.ndarray) -> np.ndarray:
    """Mean colours of the middle of the picture at chest and at leg height."""
    chest, legs = image[38:60, 26:38], image[72:96, 26:38]
    return np.concatenate([part.reshape(-1, 3).mean(0) for part in (chest, legs)])


def test_identities_look_different_within_each_camera():
    ids = 12
    for camera in (0, 3):
        looks = np.array(
            [[clothes(whole_image(0, i, camera, shot)) for shot in range(3)] for i in range(ids)]
        )
        apart = np.linalg.norm(looks[:, None, :, None] - looks[None, :, None, :], axis=-1)
        same = np.eye(ids, dtype=bool)
        within = apart[same].sum() / (ids * 6)  # three shots: six ordered pairs, zeros aside
        between = apart[~same].mean()
        assert within < 0.7 * between


def corners(image: np.ndarray) -> np.ndarray:
    """Mean colours of the four corners, where the background is."""
    top, bottom = image[:30], image[-30:]
    parts = (top[:, :12], top[:, -12:], bottom[:, :12], bottom[:, -12:])
    return np.concatenate([part.reshape(-1, 3).mean(0) for part in parts])


def test_background_tells_the_camera_rather_than_the_person():
    looks = np.array(
        [[corners(whole_image(0, i, camera, 0)) for i in range(8)] for camera in range(CAMERAS)]
    )
    assert looks.mean(1).std(0).mean() > 1.5 * looks.mean(0).std(0).mean()


def test_people_share_colours_but_are_nobody_s_double():
    people = [identity_of(0, number) for number in range(160)]
    assert len(set(people)) == len(people)
    tops = Counter(person.top for person in people)
    assert set(tops) <= set(TOP_COLOURS.values())
    assert min(tops.values()) >= 3
    outfits = Counter((person.top, person.bottom, person.bottom_kind) for person in people)
    assert sum(n for n in outfits.values() if n > 1) > len(people) / 3


def test_combineall_adds_the_test_people(root, dataset):
    combined = make(root, combineall=True)
    assert len(combined.train) == 12 * TRAIN_IDS + 8 * TEST_IDS
    assert len({pid for _, pid, _ in combined.train}) == TRAIN_IDS + TEST_IDS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("synthetic_seed", -1),
        ("synthetic_seed", 0.5),
        ("synthetic_train_ids", 1),
        ("synthetic_test_ids", True),
    ],
)
def test_bad_arguments_are_named_before_anything_is_drawn(tmp_path, key, value):
    with pytest.raises(ValueError, match=key):
        synthetic.SyntheticPartial(tmp_path, **{key: value})
    assert not list(tmp_path.iterdir())


def test_lost_pictures_are_noticed(tmp_path):
    made = make(tmp_path)
    Path(made.gallery[0][0]).unlink()
    with pytest.raises(RuntimeError, match=r"gallery.*holds 15 pictures instead of 16.*Remove"):
        make(tmp_path)
