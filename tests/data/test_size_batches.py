"""Batches of one size: heads of files, the order of images, where batches end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastreid.utils import comm
from PIL import Image

from partialreid.data.keep_ratio import target_size
from partialreid.data.loaders import build_test_loader
from partialreid.data.size_batches import (
    image_size,
    image_sizes,
    order_by_size,
    size_batches,
)
from partialreid.engine.checks import check_test_sets
from partialreid.images.reading import read_image

ORIENTATION = 0x0112
FOLDER = "Market-1501-v15.09.15"


def save(path: Path, height: int, width: int, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
def test_size_is_that_of_the_image_read(
    tmp_path: Path, suffix: str, orientation: int | None
) -> None:
    exif = Image.Exif()
    options = {}
    if orientation is not None and suffix != "bmp":
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    path = save(tmp_path / f"image.{suffix}", 20, 30, **options)
    turned = options and orientation in (6, 8)
    assert image_size(str(path)) == ((30, 20) if turned else (20, 30))
    image = read_image(path)
    assert image_size(str(path)) == (image.height, image.width)


def test_jpegs_are_not_decoded(tmp_path: Path) -> None:
    path = save(tmp_path / "image.jpg", 200, 100)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(OSError):
        read_image(path)
    assert image_size(str(path)) == (200, 100)


def test_a_file_without_a_size_is_named(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    with pytest.raises(OSError, match=r"image\.jpg"):
        image_size(str(path))
    path.write_text("no image")
    with pytest.raises(OSError, match=r"image\.jpg"):
        image_size(str(path))


def test_order(tmp_path: Path) -> None:
    """By size; the images of one size in the order they have."""
    sizes = [(20, 10), (10, 10), (21, 10), (30, 10), (11, 10)]
    items = [
        (str(save(tmp_path / f"{9 - i}.png", *size)), i, 10 + i) for i, size in enumerate(sizes)
    ]

    assert image_sizes(items) == sizes
    ordered, targets = order_by_size(items, [(height // 10 * 10, 10) for height, _ in sizes])
    assert [item[1] for item in ordered] == [1, 4, 0, 2, 3]
    assert set(ordered) == set(items)
    assert targets == [(10, 10), (10, 10), (20, 10), (20, 10), (30, 10)]


def test_batches_by_hand() -> None:
    small, large = (2, 3), (4, 3)
    sizes = [small] * 5 + [large] * 4 + [small]
    assert size_batches(range(10), sizes, 3, 100) == [[0, 1, 2], [3, 4], [5, 6, 7], [8], [9]]
    # 24 pixels: four small ones, but no more than three images, or two large ones.
    assert size_batches(range(10), sizes, 3, 24) == [[0, 1, 2], [3, 4], [5, 6], [7, 8], [9]]
    # Too large for any batch: alone.
    assert size_batches(range(10), sizes, 3, 7)[2:] == [[2], [3], [4], [5], [6], [7], [8], [9]]
    assert size_batches(range(4, 7), sizes, 3, 100) == [[4], [5, 6]]
    assert size_batches(range(0), sizes, 3, 100) == []


@pytest.fixture
def cfg(tmp_path: Path, make_market, make_config) -> Any:
    """Market-1501 with 2 + 6 test images of 16 x 8 pixels, of which five are replaced."""
    root = make_market(tmp_path / "data") / FOLDER
    save(root / "query" / "0031_c1s1_000000_00.jpg", 5, 200)
    save(root / "query" / "0040_c1s1_000000_00.jpg", 200, 5)
    for camera, size in ((1, (40, 32)), (2, (66, 32)), (3, (40, 32))):
        save(root / "bounding_box_test" / f"0031_c{camera}s1_000000_00.jpg", *size)
    return make_config(
        *("DATASETS.ROOT", str(root.parent), "DATASETS.TESTS", ("Market1501",)),
        *("MODEL.META_ARCHITECTURE", "PartialBaseline", "MODEL.HEADS.DSR.KERNELS", (2, 4)),
        *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.FEAT_DIM", 128),
        *("MODEL.BACKBONE.LAST_STRIDE", 1, "MODEL.BACKBONE.PRETRAIN", False),
        *("INPUT.KEEP_RATIO", "width", "INPUT.SIZE_TEST", [64, 32], "TEST.IMS_PER_BATCH", 4),
        *("DATALOADER.NUM_WORKERS", 0),
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_loader(cfg: Any, workers: int) -> None:
    cfg.DATALOADER.NUM_WORKERS = workers
    check_test_sets(cfg)
    loader, num_query = build_test_loader(cfg, "Market1501")
    batches = list(loader)
    assert num_query == 2 and len(loader) == len(batches) == 4
    # The shortest side is 32, as 64 - 3 * 16 = 16 has no room for four cells of stride 8.
    assert [tuple(batch["images"].shape) for batch in batches] == [
        (1, 3, 32, 64),
        (1, 3, 128, 32),
        (2, 3, 48, 32),
        (4, 3, 64, 32),
    ]
    names = [Path(path).name[:7] for batch in batches for path in batch["img_paths"]]
    assert names == [
        *("0031_c1", "0040_c1"),
        *("0031_c1", "0031_c3", "0031_c2", "0040_c1", "0040_c2", "0040_c3"),
    ]
    order = [path for path, _, _ in loader.dataset.img_items]
    assert order == [path for batch in batches for path in batch["img_paths"]]
    ids = [pid for batch in batches for pid in batch["targets"].tolist()]
    assert ids == [31, 40, 31, 31, 31, 40, 40, 40]


def test_large_images_come_in_small_batches(cfg: Any) -> None:
    """A batch has the pixels of IMS_PER_BATCH images of SIZE_TEST at most."""
    root = Path(cfg.DATASETS.ROOT) / FOLDER / "bounding_box_test"
    for path in sorted(root.glob("*.jpg")):
        save(path, 160, 32)
    loader, _ = build_test_loader(cfg, "Market1501")
    sizes = [tuple(batch["images"].shape[::2]) for batch in loader]
    # The narrow query is of their size, and a batch may hold both.
    assert sizes == [(1, 32), *[(2, 128)] * 3, (1, 128)]


@pytest.mark.parametrize("world", [2, 3, 5, 7])
def test_processes_share_the_order(cfg: Any, monkeypatch, world: int) -> None:
    whole = build_test_loader(cfg, "Market1501")[0].dataset.img_items
    monkeypatch.setattr(comm, "get_world_size", lambda: world)
    seen, per_process = [], []
    for rank in range(world):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        loader, num_query = build_test_loader(cfg, "Market1501")
        assert num_query == 2
        assert loader.dataset.img_items == whole
        paths = [path for batch in loader for path in batch["img_paths"]]
        per_process.append(len(paths))
        seen += paths
    assert seen == [path for path, _, _ in whole]
    # As FastReID shares them: 5 processes get 2 2 2 2 0, 7 get 2 2 2 2 0 0 0.
    share = -(-8 // world)
    assert per_process == [max(0, min(share, 8 - share * rank)) for rank in range(world)]


def test_off_leaves_everything(cfg: Any) -> None:
    cfg.INPUT.KEEP_RATIO = "off"
    loader, _ = build_test_loader(cfg, "Market1501")
    assert [tuple(batch["images"].shape) for batch in loader] == [(4, 3, 64, 32)] * 2
    names = [Path(path).name[:7] for path, _, _ in loader.dataset.img_items]
    assert names == ["0031_c1", "0040_c1"] + [f"{i}_c{c}" for i in ("0031", "0040") for c in "123"]


def test_errors_come_before_long_work(cfg: Any) -> None:
    cfg.MODEL.HEADS.DSR.KERNELS = (2, 6)
    for call in (lambda: check_test_sets(cfg), lambda: build_test_loader(cfg, "Market1501")):
        with pytest.raises(ValueError, match=r"MODEL\.HEADS\.DSR\.KERNELS"):
            call()
    shutil.rmtree(Path(cfg.DATASETS.ROOT) / FOLDER / "query")
    with pytest.raises(FileNotFoundError):
        build_test_loader(cfg, "Market1501")


def test_targets_of_the_fixture() -> None:
    """By hand: 40 x 32 is half way between 32 and 48; 66 x 32 is nearer to 64 than to 80."""
    least = (25, 25)
    assert target_size((40, 32), (64, 32), "width", 16, least) == (48, 32)
    assert target_size((66, 32), (64, 32), "width", 16, least) == (64, 32)
