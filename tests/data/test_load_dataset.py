"""Data sets of a config: found, understood, and checked before long work."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from partialreid.data.catalogue import data_root, load_dataset, train_items
from partialreid.engine import checks
from partialreid.engine.checks import check_test_sets

FOLDER = "Market-1501-v15.09.15"


@pytest.fixture
def cfg(root: Path, make_config) -> Any:
    cfg = make_config("DATASETS.NAMES", ("Market1501",), "DATASETS.TESTS", ("Market1501",))
    cfg.DATASETS.ROOT = str(root)
    return cfg


def test_data_root(make_config, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = make_config()
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("FASTREID_DATASETS", raising=False)
    assert data_root(cfg) == "datasets"
    monkeypatch.setenv("FASTREID_DATASETS", "/from/environment")
    assert data_root(cfg) == "/from/environment"
    monkeypatch.setenv("FASTREID_DATASETS", "~/sets")
    assert data_root(cfg) == "/home/somebody/sets"
    cfg.DATASETS.ROOT = "~/own"
    assert data_root(cfg) == "/home/somebody/own"


def test_environment_is_read_when_used(cfg: Any, root: Path, monkeypatch) -> None:
    """FastReID reads it when it is imported."""
    cfg.DATASETS.ROOT = ""
    monkeypatch.setenv("FASTREID_DATASETS", str(root))
    assert len(train_items(cfg)) == 16
    monkeypatch.setenv("FASTREID_DATASETS", str(root / "elsewhere"))
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        train_items(cfg)


def test_unknown_data_set(cfg: Any) -> None:
    with pytest.raises(KeyError) as caught:
        load_dataset(cfg, "Typo")
    for name in ("'Typo'", "Market1501", "PartialREID", "SyntheticPartial"):
        assert name in str(caught.value.args[0])


def test_absent_data_set(cfg: Any, tmp_path: Path) -> None:
    cfg.DATASETS.ROOT = str(tmp_path / "nowhere")
    with warnings.catch_warnings(), pytest.raises(FileNotFoundError) as caught:
        warnings.simplefilter("error")
        check_test_sets(cfg)
    for part in ("Market1501", str(tmp_path / "nowhere"), "DATASETS.ROOT", "FASTREID_DATASETS"):
        assert part in str(caught.value)


def test_empty_training_set(cfg: Any, root: Path) -> None:
    for path in (root / FOLDER / "bounding_box_train").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"Market1501 has no training images.*DATASETS\.NAMES"):
        train_items(cfg)


@pytest.mark.parametrize("folder", ["12_c3", "9999_c3", "12_c9"])
def test_folder_that_stock_data_sets_take_for_an_identity(
    cfg: Any, tmp_path: Path, make_market, folder: str
) -> None:
    cfg.DATASETS.ROOT = str(make_market(tmp_path / folder))
    for load in (train_items, check_test_sets):
        with pytest.raises(ValueError, match="anywhere in the path") as caught:
            load(cfg)
        assert folder in str(caught.value)


def test_file_that_stock_data_sets_do_not_understand(cfg: Any, root: Path) -> None:
    (root / FOLDER / "query" / "holiday.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="Name the files as the set is published"):
        check_test_sets(cfg)


def test_a_set_of_one_identity_is_no_mistake(cfg: Any, root: Path) -> None:
    for path in (root / FOLDER).glob("*/00[!3]*.jpg"):
        path.unlink()
    assert {pid for _, pid, _ in load_dataset(cfg, "Market1501").query} == {31}


def test_broken_images_of_small_test_sets_are_found_first(
    cfg: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_test_sets(cfg)
    broken = root / FOLDER / "bounding_box_test" / "0031_c2s1_000000_00.jpg"
    broken.write_text("no image")
    with pytest.raises(OSError, match=f'1 of 8 images cannot be read: "{broken}"'):
        check_test_sets(cfg)
    monkeypatch.setattr(checks, "DECODED_FIRST", 7)
    check_test_sets(cfg)


def test_query_without_match_is_found_first(cfg: Any, root: Path) -> None:
    for path in (root / FOLDER / "bounding_box_test").glob("0031_c[23]*"):
        path.unlink()
    with pytest.raises(ValueError, match="1 of 2 queries have no valid match"):
        check_test_sets(cfg)


def test_reranking_beyond_the_memory_is_found_first(
    cfg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 images take 9 * 8 * 8 bytes. No image is read before."""
    cfg.TEST.RERANK.ENABLED, cfg.TEST.RERANK.K1, cfg.TEST.DSR.MEMORY_GB = True, 4, 576e-9
    check_test_sets(cfg)
    cfg.TEST.DSR.MEMORY_GB = 575e-9
    monkeypatch.delattr(checks, "check_images")
    for reconstruction in (True, False):
        cfg.TEST.DSR.ENABLED = reconstruction
        with pytest.raises(ValueError, match=r"^Market1501: TEST.RERANK.ENABLED .*all 8 images"):
            check_test_sets(cfg)


@pytest.mark.parametrize("name", ["Market1501", "Market1501Partial"])
def test_combined_training_set(cfg: Any, name: str) -> None:
    """FastReID passes `combineall` to every data set."""
    cfg.DATASETS.NAMES = (name,)
    assert len(train_items(cfg)) == 16
    cfg.DATASETS.COMBINEALL = True
    items = train_items(cfg)
    assert len(items) == 24
    assert len({pid for _, pid, _ in items}) == 6
    assert items == sorted(items)


def test_several_training_sets(cfg: Any) -> None:
    cfg.DATASETS.NAMES = ("Market1501", "Market1501")
    with pytest.raises(ValueError, match="Market1501 more than once"):
        train_items(cfg)
    cfg.DATASETS.NAMES = ("Market1501", "PartialREID")
    with pytest.raises(FileNotFoundError, match="PartialREID was not found"):
        train_items(cfg)
