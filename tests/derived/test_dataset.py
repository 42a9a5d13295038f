"""Market1501Partial: the cut, the folder that is made, the lists."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastreid.config import get_cfg
from PIL import Image

from partialreid import add_partialreid_config
from partialreid.data.catalogue import load_dataset
from partialreid.derived import cuts
from partialreid.derived.cuts import cut_window

QUERIES = ("0002_c1s1_000001_00.jpg", "0001_c1s1_000001_00.jpg", "0001_c2s1_000002_00.jpg")
GALLERY = (
    "0001_c3s1_000003_01.jpg",
    "0002_c2s1_000004_01.jpg",
    "0000_c1s1_000005_01.jpg",
    "-1_c1s1_000006_01.jpg",
)
TRAIN = ("0007_c2s1_000001_01.jpg", "0007_c1s1_000001_01.jpg")
MADE = "Market-1501-Partial-seed0"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARTIALREID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tiny_market(root: Path, queries: tuple[str, ...] = QUERIES) -> Path:
    for part, names in (
        ("query", queries),
        ("bounding_box_test", GALLERY),
        ("bounding_box_train", TRAIN),
    ):
        folder = root / "Market-1501-v15.09.15" / part
        folder.mkdir(parents=True)
        for name in names:
            pixels = random.Random(name).randbytes(64 * 32 * 3)
            Image.frombytes("RGB", (32, 64), pixels).save(folder / name)
    return root


def partial(root: Path, seed: int = 0, name: str = "Market1501Partial") -> Any:
    cfg = get_cfg()
    add_partialreid_config(cfg)
    cfg.merge_from_list(["DATASETS.ROOT", str(root), "DATASETS.DERIVED_SEED", seed])
    return load_dataset(cfg, name)


def made_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_window_is_60_to_90_percent_for_every_height() -> None:
    for height in range(3, 300):
        for name in ("a.jpg", "b.jpg"):
            top, bottom = cut_window(name, height, 0)
            assert 0 <= top < bottom <= height
            assert 60 * height <= 100 * (bottom - top) <= 90 * height
    for height in (1, 2):
        with pytest.raises(ValueError, match=r"a\.jpg.*too small"):
            cut_window("a.jpg", height, 0)


def test_window_is_uniform_over_all_that_is_possible() -> None:
    # 20 rows: heights 12 .. 18, and 21 - h positions for height h
    draws = Counter(cut_window(f"{i}.jpg", 20, 5) for i in range(14000))
    assert len(draws) == sum(21 - h for h in range(12, 19))
    heights = Counter()
    for (top, bottom), count in draws.items():
        heights[bottom - top] += count
        # mean 2000 / positions, five standard deviations of a binomial count
        mean = 2000 / (21 - (bottom - top))
        assert abs(count - mean) < 5 * mean**0.5
    assert all(abs(count - 2000) < 5 * 2000**0.5 for count in heights.values())


def test_window_depends_on_name_and_seed() -> None:
    names = [f"{i}.jpg" for i in range(50)]
    first = [cut_window(name, 128, 0) for name in names]
    assert first == [cut_window(name, 128, 0) for name in reversed(names)][::-1]
    assert len(set(first)) > 40
    assert sum(a == cut_window(n, 128, 1) for a, n in zip(first, names)) < 5


def test_lists_and_pixels(tmp_path: Path) -> None:
    root = tiny_market(tmp_path / "root")
    data = partial(root)
    assert [(Path(p), pid, cam) for p, pid, cam in data.query] == [
        (root / MADE / "query" / "0001_c1s1_000001_00.png", 1, 0),
        (root / MADE / "query" / "0001_c2s1_000002_00.png", 1, 1),
        (root / MADE / "query" / "0002_c1s1_000001_00.png", 2, 0),
    ]
    market = root / "Market-1501-v15.09.15"
    assert [(Path(p), pid, cam) for p, pid, cam in data.gallery] == [
        (market / "bounding_box_test" / "0000_c1s1_000005_01.jpg", 0, 0),
        (market / "bounding_box_test" / "0001_c3s1_000003_01.jpg", 1, 2),
        (market / "bounding_box_test" / "0002_c2s1_000004_01.jpg", 2, 1),
    ]
    assert sorted(Path(p).name for p, *_ in data.train) == sorted(TRAIN)
    assert [pid for _, pid, _ in data.train] == ["market1501_7"] * 2

    manifest = json.loads((root / MADE / "manifest.json").read_text())
    assert manifest["counts"] == {"query": 3}
    assert str(tmp_path) not in json.dumps(manifest)
    for path, *_ in data.query:
        full = np.asarray(Image.open(market / "query" / f"{Path(path).stem}.jpg"))
        left, top, right, bottom = manifest["boxes_left_top_right_bottom"][Path(path).name]
        assert (left, right) == (0, 32)
        assert (top, bottom) == cut_window(f"{Path(path).stem}.jpg", 64, 0)
        np.testing.assert_array_equal(np.asarray(Image.open(path)), full[top:bottom])


def test_identical_in_two_roots_and_without_other_files(tmp_path: Path) -> None:
    both = [tiny_market(tmp_path / name) for name in ("a", "b/c")]
    for root in both:
        partial(root)
    first, second = (made_files(root / MADE) for root in both)
    assert first == second
    assert len(first) == 4

    few = tiny_market(tmp_path / "few", queries=QUERIES[:1])
    partial(few)
    name = "query/0002_c1s1_000001_00.png"
    assert made_files(few / MADE)[name] == first[name]

    partial(few, seed=1)
    assert made_files(few / "Market-1501-Partial-seed1")[name] != first[name]


def test_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tiny_market(tmp_path)
    query = partial(root).query
    monkeypatch.setattr(cuts, "read_image", None)
    assert partial(root).query == query


def test_read_only_root_goes_to_the_cache(tmp_path: Path, cache: Path) -> None:
    root = tiny_market(tmp_path / "root")
    root.chmod(0o555)
    try:
        query = partial(root).query
    finally:
        root.chmod(0o755)
    assert Path(query[0][0]) == cache / MADE / "query" / "0001_c1s1_000001_00.png"
    assert [path.name for path in root.iterdir()] == ["Market-1501-v15.09.15"]


def test_broken_query_leaves_nothing_and_the_next_call_succeeds(tmp_path: Path) -> None:
    root = tiny_market(tmp_path)
    last = root / "Market-1501-v15.09.15" / "query" / max(QUERIES)
    good = last.read_bytes()
    last.write_bytes(good[: len(good) // 2])
    with pytest.raises(OSError, match=last.name):
        partial(root)
    assert [path.name for path in root.iterdir()] == ["Market-1501-v15.09.15"]
    last.write_bytes(good)
    assert len(partial(root).query) == 3


def test_other_source_under_one_name_is_an_error(tmp_path: Path) -> None:
    root = tiny_market(tmp_path)
    partial(root)
    market = root / "Market-1501-v15.09.15"
    shutil.copy(market / "query" / QUERIES[0], market / "query" / "0002_c3s1_000009_00.jpg")
    with pytest.raises(RuntimeError, match="does not match the recipe"):
        partial(root)


def test_images_gone_from_the_made_folder_are_named(tmp_path: Path) -> None:
    root = tiny_market(tmp_path)
    query = partial(root).query
    Path(query[1][0]).unlink()
    with pytest.raises(RuntimeError, match=r"1 images are gone.*0001_c2s1_000002_00\.png.*Remove"):
        partial(root)


def test_absent_or_unusable_market(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"DATASETS\.ROOT.*FASTREID_DATASETS") as error:
        partial(tmp_path)
    assert str(tmp_path / "Market-1501-v15.09.15") in str(error.value)

    lost = tiny_market(tmp_path / "lost", queries=(*QUERIES, "0003_c1s1_000001_00.jpg"))
    with pytest.raises(ValueError, match=r"1 of 4 queries.*0003_c1s1_000001_00\.jpg"):
        partial(lost)
    odd = tiny_market(tmp_path / "odd", queries=(*QUERIES, "person.jpg"))
    with pytest.raises(ValueError, match=r"no identity.*query/person\.jpg"):
        partial(odd)
    empty = tiny_market(tmp_path / "empty", queries=())
    with pytest.raises(ValueError, match="the query is empty"):
        partial(empty)
    assert [path.name for path in empty.iterdir()] == ["Market-1501-v15.09.15"]


@pytest.mark.slow
def test_real_market(market: Path, cache: Path) -> None:
    # A data root of links, so that nothing is ever written beside the real images.
    root = cache.parent / "root"
    root.mkdir()
    (root / "Market-1501-v15.09.15").symlink_to(market.resolve() / "Market-1501-v15.09.15")
    data = partial(root)
    assert (len(data.query), len(data.gallery), len(data.train)) == (3368, 15913, 12936)
    whole = partial(root, name="Market1501")
    assert data.gallery == sorted(whole.gallery)
    assert sorted(data.train) == sorted(whole.train)
    assert [(Path(path).stem, *rest) for path, *rest in data.query] == [
        (Path(path).stem, *rest) for path, *rest in sorted(whole.query)
    ]

    shares = []
    for path, *_ in data.query:
        with Image.open(path) as image:
            assert image.width == 64
            shares.append(image.height / 128)
    assert 0.6 <= min(shares) < 0.61
    assert 0.89 < max(shares) <= 0.9
    assert abs(np.mean(shares) - 0.75) < 0.01
    full = market / "Market-1501-v15.09.15" / "query"
    boxes = json.loads((root / MADE / "manifest.json").read_text())["boxes_left_top_right_bottom"]
    for path, *_ in data.query[::500]:
        box = boxes[Path(path).name]
        cut = Image.open(full / f"{Path(path).stem}.jpg").convert("RGB").crop(box)
        np.testing.assert_array_equal(np.asarray(Image.open(path)), np.asarray(cut))
