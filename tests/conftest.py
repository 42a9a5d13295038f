"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

# Before any module of fastreid, which cannot be imported without it on current Python and torch.
import partialreid
from tests.paths import ROOT
from tests.standin.gpu import StandInGpu, standin_gpu

# Two processes of one thread each (`make test`), or one of two: as many as a small machine has.
THREADS = os.environ.get("PARTIALREID_TEST_THREADS") or (
    "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"
)
torch.set_num_threads(int(THREADS))
os.environ["OMP_NUM_THREADS"] = THREADS  # for the processes that tests start


def is_here(name: str) -> bool:
    """Whether a package of Python, or a program, of this name is installed."""
    return importlib.util.find_spec(name) is not None or shutil.which(name) is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests of GPUs and of packages that are not here; sort the others by time."""
    visible = torch.cuda.device_count()
    kept, left_out = [], []
    for item in items:
        mark = item.get_closest_marker("cuda")
        enough = mark is None or visible >= (mark.args or (1,))[0]
        needed = item.get_closest_marker("needs")
        there = needed is None or all(map(is_here, needed.args))
        (kept if enough and there else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept
    # Of two processes that share the files, none is left alone with a long one at the end.
    minutes: Counter[Path] = Counter()
    for item in items:
        for mark in item.iter_markers("slow"):
            minutes[item.path] += mark.kwargs.get("minutes", 0.1)
    items.sort(key=lambda item: -minutes[item.path])


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Made folders of one run of the tests, in one process of it, are found by no other."""
    os.environ["PARTIALREID_CACHE"] = str(tmp_path_factory.mktemp("cache"))


def needed_folder(*names: str) -> Path:
    """The data root, if it holds this data set, under one of its names; else a skip."""
    root = Path(os.environ.get("FASTREID_DATASETS") or ROOT / "datasets")
    if not any((root / name).is_dir() for name in names):
        pytest.skip(
            f"needs {' or '.join(names)} in the data root (FASTREID_DATASETS, see "
            "datasets/README.md)"
        )
    return root


def needed_weights(name: str, what: str) -> Path:
    """A file of weights that cannot be part of the repository; without it the test is skipped."""
    path = Path(os.environ.get("PARTIALREID_SHARED") or ROOT, "weights", name)
    if not path.is_file():
        pytest.skip(f"needs {what}, as weights/{name} in the folder PARTIALREID_SHARED")
    return path


@pytest.fixture(scope="session")
def data_root() -> Callable[..., Path]:
    """A function that finds the data root with a real data set, or skips the test."""
    return needed_folder


@pytest.fixture(scope="session")
def market() -> Path:
    """The data root that holds Market-1501."""
    return needed_folder("Market-1501-v15.09.15/query").absolute()


@pytest.fixture(scope="session")
def original_checkpoint() -> Path:
    """What the original code trained on Market-1501, by the recipe of market_mobilenetv2.yml."""
    what = "the original code's MobileNetV2 of Market-1501"
    return needed_weights("market_mobilenetv2_original.pth", what)


@pytest.fixture(scope="session")
def imagenet_weights() -> Path:
    """ImageNet weights of MobileNetV2 under FastReID's names."""
    return needed_weights("mobilenetv2_imagenet.pth", "ImageNet weights of MobileNetV2")


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
def standin(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInGpu]:
    """A stand-in GPU, see `standin_gpu`, whose `name` MODEL.DEVICE can be."""
    from partialreid.config import CHOICES

    monkeypatch.setitem(CHOICES, "MODEL.DEVICE", (*CHOICES["MODEL.DEVICE"], StandInGpu.name))
    try:
        with standin_gpu() as gpu:
            yield gpu
    except ImportError as error:
        pytest.skip(f"this torch has no devices in Python: {error}")


@pytest.fixture
def as_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations of this process run the network as it was trained, as a training's own do.

    Their numbers are then the same to the last digit. Rounding ranks what a tiny training makes.
    """
    from partialreid.engine import inference

    monkeypatch.setattr(inference, "evaluation_network", lambda model, cfg: model)


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
