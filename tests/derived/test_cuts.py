"""Cut queries of any data set, and what all derived sets refuse."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partialreid.data.catalogue import load_dataset
from partialreid.derived.cuts import cut_side, cut_window
from partialreid.derived.hidden import hidden_queries
from partialreid.derived.queries import Derivation, relative_names
from tests.drawn_set import draw, pixels

pytestmark = pytest.mark.usefixtures("cache")


def test_cuts_of_any_side(cfg: Any, root: Path) -> None:
    cfg.DATASETS.DERIVED.SIDES = "any"
    data = load_dataset(cfg, "DukeMTMCPartial")
    folder = root / "DukeMTMCPartial-any-60-90-seed0"
    boxes = json.loads((folder / "manifest.json").read_text())["boxes_left_top_right_bottom"]
    assert not (folder / "masks").exists()
    for path, *_ in data.query:
        full = pixels(root / "DukeMTMC-reID" / "query" / f"{Path(path).stem}.jpg")
        left, top, right, bottom = boxes[Path(path).name]
        np.testing.assert_array_equal(pixels(path), full[top:bottom, left:right])
        touching = (left == 0, top == 0, right == 32, bottom == 64)
        assert sum(touching) == 3


def test_cut_side_keeps_the_share_of_every_side() -> None:
    lost = Counter()
    for i in range(800):
        side, (left, top, right, bottom) = cut_side(f"{i}.jpg", (32, 64), 0, (60, 90))
        lost[side] += 1
        edge = {"left": left, "top": top, "right": 32 - right, "bottom": 64 - bottom}
        assert [name for name, cut in edge.items() if cut] == [side]
        kept = (bottom - top) / 64 * (right - left) / 32
        assert 0.6 <= kept <= 0.9
    # 200 of each with a standard deviation of 12
    assert len(lost) == 4 and max(abs(count - 200) for count in lost.values()) < 62
    assert cut_side("a.jpg", (32, 64), 0, (60, 90)) == cut_side("a.jpg", (32, 64), 0, (60, 90))
    with pytest.raises(ValueError, match=r"a\.jpg.*too small"):
        cut_side("a.jpg", (1, 1), 0, (60, 90))


def test_published_windows() -> None:
    """The windows that the numbers of Market1501Partial were computed with."""
    published = {
        ("0001_c1s1_001051_00.jpg", 0): (7, 103),
        ("0001_c1s1_001051_00.jpg", 1): (24, 105),
        ("0002_c1s1_000451_00.jpg", 0): (6, 117),
        ("1501_c6s4_001902_00.jpg", 0): (10, 93),
    }
    for (name, seed), window in published.items():
        assert cut_window(name, 128, seed) == window


def test_market_partial_follows_the_keys(tmp_path: Path, make_config, make_market) -> None:
    root = make_market(tmp_path / "market")
    cfg = make_config("DATASETS.ROOT", str(root))
    load_dataset(cfg, "Market1501Partial")
    manifest = json.loads((root / "Market-1501-Partial-seed0" / "manifest.json").read_text())
    assert set(manifest["recipe"]) == {"kind", "seed", "height_percent", "source"}
    assert manifest["recipe"]["source"]["folder"] == "Market-1501-v15.09.15/query"
    cfg.DATASETS.DERIVED.SIDES = "any"
    data = load_dataset(cfg, "Market1501Partial")
    assert Path(data.query[0][0]).parts[-3] == "Market1501Partial-any-60-90-seed0"


def test_names_below_a_common_folder(tmp_path: Path) -> None:
    flat = [str(tmp_path / "q" / name) for name in ("a.jpg", "b.jpg")]
    assert list(relative_names(flat).values()) == ["a.jpg", "b.jpg"]
    deep = [str(tmp_path / "q" / name) for name in ("1/a.jpg", "2/a.jpg")]
    assert list(relative_names(deep).values()) == ["1/a.jpg", "2/a.jpg"]
    assert list(relative_names(deep[:1]).values()) == ["a.jpg"]
    with pytest.raises(ValueError, match=r"would both become a\.png"):
        relative_names([str(tmp_path / "a.jpg"), str(tmp_path / "a.png")])


def test_queries_in_folders_of_their_own(tmp_path: Path) -> None:
    for name in ("1/a.jpg", "2/a.jpg"):
        draw(tmp_path / "q" / name)
    query = [(str(tmp_path / "q" / name), i, 0) for i, name in enumerate(("1/a.jpg", "2/a.jpg"))]
    made = hidden_queries("Deep", str(tmp_path), query, query, Derivation())
    folder = tmp_path / "Deep-mixed-20-50-seed0"
    assert list(made.values()) == [str(folder / "query" / n) for n in ("1/a.png", "2/a.png")]
    assert all((folder / "masks" / name).is_file() for name in ("1/a.png", "2/a.png"))


def test_images_gone_are_named(cfg: Any) -> None:
    query = load_dataset(cfg, "DukeMTMCOccluded").query
    Path(query[1][0]).unlink()
    with pytest.raises(RuntimeError, match=r"1 images are gone.*0031_c1_f0000001\.png.*Remove"):
        load_dataset(cfg, "DukeMTMCOccluded")


def test_a_split_at_random_is_that_of_its_key(tmp_path: Path, make_config) -> None:
    """VehicleID chooses its gallery by Python's global generator."""
    folder = tmp_path / "vehicleid"
    (folder / "train_test_split").mkdir(parents=True)
    lines = [f"{i:07d} {i // 3}" for i in range(18)]
    for name in ("train_list.txt", "test_list_800.txt"):
        (folder / "train_test_split" / name).write_text("\n".join(lines))
    for i in range(18):
        draw(folder / "image" / f"{i:07d}.jpg")
    cfg = make_config("DATASETS.ROOT", str(tmp_path))
    galleries = []
    for seed in (1, 2):
        random.seed(seed)
        expected = random.Random(seed).random()
        galleries.append(load_dataset(cfg, "SmallVehicleIDOccluded").gallery)
        assert random.random() == expected
    assert galleries[0] == galleries[1]
    cfg.TEST.DSR.PROTOCOL_SEED = 1
    assert load_dataset(cfg, "SmallVehicleID").gallery != galleries[0]


@pytest.mark.parametrize("kind", ["shapes", "pieces"])
def test_a_query_too_small_to_be_hidden_is_named(cfg: Any, root: Path, kind: str) -> None:
    cfg.DATASETS.DERIVED.KIND = kind
    small = root / "DukeMTMC-reID" / "query" / "0033_c1_f0000001.jpg"
    draw(small, (1, 1))
    with pytest.raises(ValueError, match=f'no part of "{small}" can be hidden: no whole number'):
        load_dataset(cfg, "DukeMTMCOccluded")
    assert [path.name for path in root.iterdir()] == ["DukeMTMC-reID"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("KIND", "boxes"), ("SIDES", "left"), ("SHARE", (50, 20)), ("SHARE", (0, 20)),
     ("SHARE", (0.2, 0.5)), ("PERCENT", (60, 100)), ("PERCENT", (60,))],
)  # fmt: skip
def test_values_out_of_range(cfg: Any, root: Path, key: str, value: Any) -> None:
    cfg.DATASETS.DERIVED[key] = value
    for name in ("DukeMTMCOccluded", "Market1501Partial"):
        with pytest.raises(ValueError, match=rf"DATASETS\.DERIVED\.{key} is"):
            load_dataset(cfg, name)
    assert [path.name for path in root.iterdir()] == ["DukeMTMC-reID"]


def test_sets_that_cannot_be_derived(cfg: Any, root: Path, tmp_path: Path) -> None:
    cfg.DATASETS.ROOT = str(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"DukeMTMC.*DATASETS\.ROOT"):
        load_dataset(cfg, "DukeMTMCOccluded")
    cfg.DATASETS.ROOT = str(root)
    for path in (root / "DukeMTMC-reID").glob("*/00[!3]*.jpg"):
        path.unlink()
    for path in (root / "DukeMTMC-reID").glob("*/003[!1]*.jpg"):
        path.unlink()
    with pytest.raises(ValueError, match=r"one identity.*DERIVED\.KIND"):
        load_dataset(cfg, "DukeMTMCOccluded")
    for path in (root / "DukeMTMC-reID" / "query").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"DukeMTMC.*query is empty.*made from DukeMTMC"):
        load_dataset(cfg, "DukeMTMCOccluded")
