"""A calibration speaks of the distances that it was learnt with, and of no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from partialreid.engine.configuration import model_config
from partialreid.engine.model_file import write_calibration, write_model_file
from partialreid.search.calibration import Calibration, Logistic
from partialreid.search.distance_settings import (
    calibration_for,
    differing,
    distance_settings,
    require_unrefined,
)
from tests import made_onnx

LINE = Logistic(2.0, -3.0)
LEARNT = Calibration("fused", LINE, LINE, LINE, LINE, "made up")
# Keys that calibrations on disk are older than.
YOUNGER = [("INPUT.KEEP_RATIO_WHOLE", "3.0"), ("INPUT.DETAIL", "0.5")]
# Keys of a network that a model file lets nobody change.
FIXED = ("MODEL.HEADS.DSR.KERNELS", "MODEL.HEADS.DSR.STRIDE", "MODEL.PIXEL_MEAN")
OTHERS = [
    ("TEST.DSR.LAMBDA", "0.5"),
    ("TEST.DSR.KAPPA", "0.01"),
    ("TEST.DSR.SQUARED", "True"),
    ("TEST.DSR.CODES", "lasso"),
    ("TEST.DSR.TOPK", "30"),
    ("TEST.DSR.FILL", "50.0"),
    ("TEST.DSR.SHORTLIST", "none"),
    ("TEST.DSR.COARSE.DIMENSIONS", "32"),
    ("TEST.DSR.DISTANCE", "reconstruction"),
    ("INPUT.SIZE_TEST", "[128, 64]"),
    ("INPUT.KEEP_RATIO", "width"),
    ("INPUT.KEEP_RATIO_WHOLE", "3.0"),
    ("INPUT.DETAIL", "0.5"),
    ("TEST.FLIP.ENABLED", "True"),
]
SAME = [
    ("TEST.DSR.LAMBDA", "0.8"),
    ("TEST.DSR.LAMBDA_SELECTION", "fixed"),
    ("TEST.DSR.LASSO_BETA", "0.5"),
    ("TEST.DSR.MEMORY_GB", "1"),
    ("TEST.DSR.STORAGE", "float16"),
    ("MODEL.INFERENCE_DTYPE", "float32"),
    ("TEST.IMS_PER_BATCH", "8"),
    ("SEED", "9"),
]


@pytest.fixture(params=["with its settings", "of an older version", "ONNX"])
def path(request: Any, tmp_path: Path, make_config: Callable[..., Any]) -> str:
    """A model file with a calibration."""
    cfg, plain = make_config(), LEARNT.as_plain()
    assert cfg.TEST.DSR.LAMBDA == 0.8
    del plain["settings"]
    if request.param == "ONNX":
        made_onnx.write(tmp_path / "m.onnx", made_onnx.metadata(cfg, calibration=plain))
        return str(tmp_path / "m.onnx")
    target = str(tmp_path / "m.safetensors")
    write_model_file(target, {"weight": torch.ones(2)}, cfg, {})
    if request.param == "with its settings":
        plain["settings"] = distance_settings(cfg)
    write_calibration(target, plain)
    return target


def used(path: str, *keys: str) -> Calibration | None:
    return calibration_for(model_config(path, ["MODEL.DEVICE", "cpu", *keys]))


@pytest.mark.parametrize("keys", OTHERS, ids=lambda keys: keys[0])
def test_another_setting_has_no_verdicts_and_is_named(
    keys: tuple[str, str], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert used(path, *keys) is None
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith(f'no verdicts: the calibration of "{path}" was learnt with {keys[0]} ')
    assert f", here {keys[1]}" in said


@pytest.mark.parametrize("keys", [(), *SAME], ids=str)
def test_what_distances_do_not_depend_on(
    keys: tuple[str, ...], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = used(path, *keys)
    assert found is not None and (found.right, found.kind) == (LINE, "fused")
    assert not caplog.records


def test_its_own_settings_come_before_those_of_the_file(
    tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    path = str(tmp_path / "m.safetensors")
    write_model_file(path, {"weight": torch.ones(2)}, make_config(), {})
    settings = distance_settings(make_config("TEST.DSR.LAMBDA", 0.25))
    write_calibration(path, {**LEARNT.as_plain(), "settings": settings})
    assert used(path) is None
    assert used(path, "TEST.DSR.LAMBDA", "0.25") is not None


@pytest.mark.parametrize(("key", "value"), YOUNGER)
def test_a_calibration_that_is_older_than_a_key_is_of_what_was_done_then(
    tmp_path: Path, make_config: Callable[..., Any], key: str, value: str
) -> None:
    path, cfg = str(tmp_path / "m.safetensors"), make_config("INPUT.KEEP_RATIO", "gallery")
    write_model_file(path, {"weight": torch.ones(2)}, cfg, {})
    settings = {k: v for k, v in distance_settings(cfg).items() if k not in dict(YOUNGER)}
    write_calibration(path, {**LEARNT.as_plain(), "settings": settings})
    assert used(path) is not None
    assert used(path, key, value) is None


def test_without_a_calibration_nothing_is_said(
    tmp_path: Path, make_config: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "m.safetensors")
    write_model_file(path, {"weight": torch.ones(2)}, make_config(), {})
    assert used(path, "TEST.DSR.LAMBDA", "0.25") is None and not caplog.records


def test_they_are_those_that_the_distance_reads(make_config: Callable[..., Any]) -> None:
    every = distance_settings(make_config())
    assert json.loads(json.dumps(every)) == every and set(FIXED) <= set(every)
    near = set(distance_settings(make_config("TEST.DSR.DISTANCE", "global")))
    assert not {key for key in near if key.startswith("TEST.DSR.")} - {"TEST.DSR.DISTANCE"}
    sparse = set(distance_settings(make_config("TEST.DSR.CODES", "lasso")))
    assert {"TEST.DSR.LASSO_BETA"} <= sparse and "TEST.DSR.KAPPA" not in sparse
    whole = set(distance_settings(make_config("TEST.DSR.SHORTLIST", "none")))
    assert set(every) - whole >= {"TEST.DSR.TOPK", "TEST.DSR.COARSE.KAPPA"}
    # Which may take the coarse distance.
    auto = set(distance_settings(make_config("TEST.DSR.SHORTLIST", "auto")))
    assert "TEST.DSR.COARSE.DIMENSIONS" in auto
    # A key of a newer version is in no older record.
    assert differing({"TEST.DSR.LAMBDA": 0.5}, every) == ["TEST.DSR.LAMBDA 0.5, here 0.8"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("TEST.METRIC", "euclidean"), "TEST.METRIC is euclidean, which.*set TEST.METRIC cosine"),
        (("TEST.AQE.ENABLED", True), "TEST.AQE.ENABLED is True, which.*set TEST.AQE.ENABLED False"),
        (
            ("TEST.RERANK.ENABLED", True, "TEST.METRIC", "euclidean"),
            "TEST.METRIC is euclidean and TEST.RERANK.ENABLED is True, which.*set TEST.METRIC "
            "cosine TEST.RERANK.ENABLED False",
        ),
    ],
)
def test_distances_of_test_sets_alone_are_refused(
    keys: tuple[Any, ...], said: str, make_config: Callable[..., Any]
) -> None:
    require_unrefined(make_config())
    with pytest.raises(ValueError, match=said):
        require_unrefined(make_config(*keys))
