"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

# Before any module of fastreid, which cannot be imported without it on current Python and torch.
import partialreid

from .standin_gpu import StandInGpu, standin_gpu

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PARTIALREID_SHARED") or ROOT.parent / "shared")

torch.set_num_threads(int(os.environ.get("PARTIALREID_TEST_THREADS", "2")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests marked `cuda` (or `cuda(2)`) where fewer GPUs are visible."""
    visible = torch.cuda.device_count()
    kept, left_out = [], []
    for item in items:
        mark = item.get_closest_marker("cuda")
        enough = mark is None or visible >= (mark.args or (1,))[0]
        (kept if enough else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of conformance vectors, weights and real data beside the repository."""
    if not (SHARED / "conformance").is_dir():
        pytest.skip(f"no conformance vectors at {SHARED} (set PARTIALREID_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def market(shared: Path) -> Path:
    """The data root that holds Market-1501."""
    root = Path(os.environ.get("FASTREID_DATASETS") or shared / "datasets")
    if not (root / "Market-1501-v15.09.15" / "query").is_dir():
        pytest.skip(f"no Market-1501 under {root} (set FASTREID_DATASETS)")
    return root


@pytest.fixture(autouse=True)
def plain_loggers() -> None:
    """Undo what a run of the command line in an earlier test did to the loggers."""
    for name in ("fastreid", "partialreid"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test alone."""
    monkeypatch.setenv("PARTIALREID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def standin() -> Iterator[StandInGpu]:
    """A stand-in GPU, see `standin_gpu`; put its `name` into MODEL.DEVICE past the checks."""
    try:
        with standin_gpu() as gpu:
            yield gpu
    except ImportError as error:
        pytest.skip(f"this torch has no devices in Python: {error}")


@pytest.fixture
def make_config() -> Callable[..., Any]:
    """A function that makes the default config on the CPU, with keys and values to change."""

    def make(*options: Any) -> Any:
        from fastreid.config import get_cfg

        cfg = get_cfg()
        partialreid.add_partialreid_config(cfg)
        cfg.MODEL.DEVICE = "cpu"
        cfg.merge_from_list(list(options))
        return cfg

    return make


@pytest.fixture
def make_market() -> Callable[[Path], Path]:
    """A function that draws 24 tiny images under a data root, in the layout of Market-1501.

    Four identities of four images in two cameras to train with, two others of four images to test.
    """

    def make(root: Path) -> Path:
        rng = np.random.default_rng(0)
        folder = root / "Market-1501-v15.09.15"
        for part, pids, cameras in (
            ("bounding_box_train", (2, 7, 11, 20), (1, 2)),
            ("query", (31, 40), (1,)),
            ("bounding_box_test", (31, 40), (1, 2, 3)),
        ):
            (folder / part).mkdir(parents=True)
            for pid in pids:
                for camera in cameras:
                    for shot in range(2 if part == "bounding_box_train" else 1):
                        pixels = rng.integers(0, 256, (16, 8, 3), dtype=np.uint8)
                        name = f"{pid:04d}_c{camera}s1_{shot:06d}_00.jpg"
                        Image.fromarray(pixels).save(folder / part / name)
        return root

    return make


@pytest.fixture
def time_limit() -> Callable[[float], contextlib.AbstractContextManager[None]]:
    """A context that raises TimeoutError when its body takes too long, so that no test hangs."""

    @contextlib.contextmanager
    def limit(seconds: float) -> Iterator[None]:
        def expire(*_: Any) -> None:
            raise TimeoutError(f"not done after {seconds} s")

        before = signal.signal(signal.SIGALRM, expire)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return limit
