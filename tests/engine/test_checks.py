"""What is refused before any data is read: every error names its key."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

from partialreid.config import CHOICES, config_value
from partialreid.engine.checks import check_config, check_output_dir
from tests.whole_config import whole_config as config


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_good_config_passes(make_config, world_size: int) -> None:
    check_config(config(make_config), world_size, eval_only=False)


def test_bounds_are_allowed(make_config) -> None:
    options = ["TEST.DSR.LAMBDA", 0.0, "TEST.DSR.TOPK", 0, "DATALOADER.NUM_WORKERS", 0]
    check_config(config(make_config, *options), 1, eval_only=False)
    check_config(config(make_config, "TEST.DSR.LAMBDA", 1.0), 1, eval_only=False)


ALWAYS = [
    *((key, "no such thing") for key in CHOICES),
    ("TEST.METRIC", "jaccard"),
    ("TEST.DSR.KAPPA", 0.0),
    ("TEST.DSR.KAPPA", -1.0),
    ("TEST.DSR.LAMBDA", 1.01),
    ("TEST.DSR.LAMBDA", -0.01),
    ("TEST.DSR.TOPK", -1),
    ("TEST.DSR.MEMORY_GB", 0.0),
    ("DATALOADER.NUM_WORKERS", -1),
    ("DATASETS.TESTS", ("Market1510",)),
    ("DATASETS.TESTS", ()),
    ("DATASETS.NAMES", ("Market1501HeldOut",)),
    ("DATASETS.NAMES", ("Market1501HeldOutPartial",)),
]
TRAINING = [
    ("DATASETS.NAMES", ()),
    ("DATALOADER.SAMPLER_TRAIN", "NoSampler"),
    ("DATALOADER.SAMPLER_TRAIN", "SetReWeightSampler"),
    ("DATALOADER.NUM_INSTANCE", 0),
    ("DATALOADER.NUM_INSTANCE", 3),
    ("DATALOADER.NUM_INSTANCE", 32),
    ("SOLVER.IMS_PER_BATCH", 0),
    ("SOLVER.IMS_PER_BATCH", -16),
    ("SOLVER.IMS_PER_BATCH", 18),
    ("SOLVER.IMS_PER_BATCH", 2),
    ("SOLVER.MAX_EPOCH", 0),
    ("MODEL.BACKBONE.NORM", "syncBN"),
    ("MODEL.HEADS.NORM", "syncBN"),
    ("MODEL.META_ARCHITECTURE", "Baseline"),
    ("LOG_PERIOD", 0),
]


@pytest.mark.parametrize(("key", "value"), [*ALWAYS, *TRAINING])
def test_every_error_names_its_key(make_config, key: str, value: Any) -> None:
    cfg = config(make_config, key, value)
    assert config_value(cfg, key) == value
    with pytest.raises(ValueError) as caught:
        check_config(cfg, 1, eval_only=False)
    assert key in str(caught.value)


@pytest.mark.parametrize(("key", "value"), ALWAYS)
def test_what_an_evaluation_refuses(make_config, key: str, value: Any) -> None:
    with pytest.raises(ValueError):
        check_config(config(make_config, key, value), 1, eval_only=True)


@pytest.mark.parametrize(("key", "value"), TRAINING)
def test_what_only_a_training_refuses(make_config, key: str, value: Any) -> None:
    check_config(config(make_config, key, value), 1, eval_only=True)


@pytest.mark.parametrize(
    "key", ["MODEL.META_ARCHITECTURE", "MODEL.BACKBONE.NAME", "MODEL.HEADS.NAME"]
)
@pytest.mark.parametrize("eval_only", [False, True])
def test_an_unknown_network_lists_the_known_ones(make_config, key: str, eval_only: bool) -> None:
    """Before a training asks it what it reads."""
    with pytest.raises(ValueError, match=rf"^{key} is 'Typo'; it can be \w+, \w+"):
        check_config(config(make_config, key, "Typo"), 1, eval_only)


def test_unknown_data_set_lists_the_known_ones(make_config) -> None:
    for group in ("NAMES", "TESTS"):
        cfg = config(make_config, f"DATASETS.{group}", ("Market1501", "Typo"))
        with pytest.raises(ValueError, match=rf"DATASETS\.{group} holds 'Typo'.*PartialiLIDS"):
            check_config(cfg, 1, eval_only=False)


def test_output_dir_is_made(tmp_path: Path) -> None:
    check_output_dir(str(tmp_path / "new" / "folder"))
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_unwritable_output_dir(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="OUTPUT_DIR") as caught:
            check_output_dir(str(path))
        assert f'"{path}"' in str(caught.value)
        assert "choose another folder" in str(caught.value)
    with pytest.raises(ValueError, match="OUTPUT_DIR is empty"):
        check_output_dir("")
    assert (tmp_path / "file").read_text() == "in the way"


def test_output_dir_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a file is not room for what is written into it."""

    class Full(io.BytesIO):
        def write(self, block: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(ValueError) as caught:
        check_output_dir(str(tmp_path))
    assert str(caught.value) == (
        f'OUTPUT_DIR "{tmp_path}" cannot be written ({os.strerror(errno.ENOSPC)}): choose another '
        "folder."
    )
