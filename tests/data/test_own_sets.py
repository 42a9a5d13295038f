"""A user's own set, with labels and paths of any kind: trained on, tested on, derived from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.bases import ImageDataset

from partialreid.data.catalogue import load_dataset, train_items
from partialreid.data.loaders import TrainLoader, build_test_loader
from partialreid.engine.checks import check_test_sets
from tests.drawn_set import draw

pytestmark = pytest.mark.usefixtures("cache")

LABELS: dict[str, Sequence[Any]] = {
    "text": ("Anna", "Bob", "Cid", "Dan"),
    "numpy": tuple(np.arange(4)),
    "numpy text": tuple(np.array(["a", "b", "c", "d"])),
    "25 digits": tuple(10**24 + i for i in range(4)),
    "tensors": tuple(torch.arange(4)),
    "floats": (1.0, 2.0, 3.0, 4.5),
    "mixed": ("1", 1, "01", np.int64(2)),
}
PATHS: dict[str, Callable[[Path], Any]] = {
    "str": str,
    "Path": Path,
    "relative": os.path.relpath,
    "bytes": os.fsencode,
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that registers the set Own: four people, images in two cameras."""
    monkeypatch.chdir(tmp_path)

    def register(labels: Sequence[Any], path: Callable[[Path], Any] = str) -> None:
        def item(name: str, label: Any, camera: Any) -> tuple[Any, Any, Any]:
            file = tmp_path / "own" / name
            draw(file)
            return path(file), label, camera

        numbered = list(enumerate(labels))
        shots = [(camera, shot) for camera in ("door", "yard") for shot in (1, 2)]
        train = [item(f"t/{i}_{c}{s}.png", who, c) for i, who in numbered for c, s in shots]
        query = [item(f"q/{i}.png", who, "door") for i, who in numbered]
        gallery = [item(f"g/{i}_{s}.png", who, "yard") for i, who in numbered for s in (1, 2)]

        class Own(ImageDataset):
            def __init__(self, root: str = "", **kwargs: Any) -> None:
                super().__init__(train, query, gallery, **kwargs)

        monkeypatch.setitem(DATASET_REGISTRY._obj_map, "Own", Own)

    return register


@pytest.fixture
def cfg(tmp_path: Path, make_config) -> Any:
    cfg = make_config("DATASETS.NAMES", ("Own",), "DATASETS.ROOT", str(tmp_path / "data"))
    cfg.merge_from_list(["INPUT.SIZE_TRAIN", [16, 8], "INPUT.SIZE_TEST", [16, 8]])
    cfg.merge_from_list(["SOLVER.IMS_PER_BATCH", 8, "DATALOADER.NUM_WORKERS", 0])
    cfg.DATALOADER.SAMPLER_TRAIN, cfg.DATALOADER.NUM_INSTANCE = "NaiveIdentitySampler", 2
    cfg.TEST.DSR.LAMBDA_SELECTION = "fixed"
    return cfg


def identities_of(name: str, path: str) -> int:
    """Whom an image of Own shows, by its file name."""
    assert Path(path).is_file(), name
    return int(Path(path).name[0])


CASES = [*((labels, "str") for labels in LABELS), *(("text", path) for path in PATHS)]


@pytest.mark.parametrize(("labels", "path"), CASES)
def test_trained_on(cfg: Any, own, labels: str, path: str) -> None:
    own(LABELS[labels], PATHS[path])
    items = train_items(cfg)
    assert len(items) == 16
    loader = TrainLoader(cfg, items)
    classes: dict[int, set[int]] = {}
    for _ in range(4):
        batch = next(loader)
        for file, target in zip(batch["img_paths"], batch["targets"].tolist(), strict=True):
            classes.setdefault(target, set()).add(identities_of("Own", file))
    # One class for each person, counted from 0.
    assert sorted(classes) == [0, 1, 2, 3]
    assert sorted(map(len, classes.values())) == [1] * 4
    assert set.union(*classes.values()) == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["Own", "OwnPartial", "OwnOccluded", "OwnHeldOut"])
@pytest.mark.parametrize(("labels", "path"), CASES)
def test_tested_on(cfg: Any, own, labels: str, path: str, name: str) -> None:
    own(LABELS[labels], PATHS[path])
    cfg.DATASETS.TESTS = (name,)
    cfg.DATASETS.HELD_OUT = 2 if name == "OwnHeldOut" else 0
    check_test_sets(cfg)
    loader, queries = build_test_loader(cfg, name)
    assert (queries, len(loader.dataset)) == ((4, 8) if cfg.DATASETS.HELD_OUT else (4, 12))
    people: dict[int, set[int]] = {}
    for batch in loader:
        for file, target in zip(batch["img_paths"], batch["targets"].tolist(), strict=True):
            people.setdefault(target, set()).add(identities_of(name, file))
    # One number for each person, the same in query and gallery.
    assert len(people) == (2 if cfg.DATASETS.HELD_OUT else 4)
    assert all(len(who) == 1 for who in people.values())


def test_beside_market(cfg: Any, own, tmp_path: Path, make_market) -> None:
    """Two of its people have Market's numbers: they stay other people."""
    own((2, 7, 100, 101))
    make_market(tmp_path / "data")
    cfg.DATASETS.NAMES = ("Market1501", "Own")
    items = train_items(cfg)
    people = {
        (Path(path).parent.name, Path(path).name.partition("_")[0]): pid for path, pid, _ in items
    }
    assert len(items) == 16 + 16 and len(people) == len(set(people.values())) == 8
    cfg.SOLVER.IMS_PER_BATCH = 16
    assert TrainLoader(cfg, items).dataset.num_classes == 8


def test_relative_and_absolute_paths_in_one_set(cfg: Any, own) -> None:
    """Pieces come from a list in which both kinds stand."""
    own(
        LABELS["text"], lambda file: os.path.relpath(file) if file.parent.name == "g" else str(file)
    )
    cfg.DATASETS.DERIVED.KIND = "pieces"
    mixed = load_dataset(cfg, "OwnOccluded")
    assert not os.path.isabs(mixed.gallery[0][0])
    made = [Path(path).read_bytes() for path, *_ in mixed.query]
    own(LABELS["text"])
    absolute = load_dataset(cfg, "OwnOccluded")
    # The pieces' names are those below the folder of both lists: the folder made once serves.
    assert [path for path, *_ in absolute.query] == [path for path, *_ in mixed.query]
    assert made == [Path(path).read_bytes() for path, *_ in absolute.query]


@pytest.mark.parametrize("suffix", ["Partial", "Occluded"])
def test_absent_queries_are_named_by_what_is_made_of_them(cfg: Any, own, suffix: str) -> None:
    own(LABELS["text"])
    whole = load_dataset(cfg, "Own")
    for path, *_ in whole.query[:2]:
        Path(path).unlink()
    with pytest.raises(FileNotFoundError, match=r'2 of 4 images are absent: ".*0\.png", ".*1\.png'):
        load_dataset(cfg, f"Own{suffix}")
