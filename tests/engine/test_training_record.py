"""What a network was trained with stands beside the config that it is evaluated by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from partialreid.engine.model_file import write_model_file
from partialreid.engine.training_record import training_of
from tests import made_onnx

STATE = {"weight": torch.ones(2)}


def test_what_a_network_was_trained_with_is_told_from_what_it_is_run_with(
    tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    """Nothing is said of keys that no weight depends on, nor of those of one machine."""
    free = ["TEST.DSR.LAMBDA", 0.25, "DATASETS.ROOT", "/home/somebody", "OUTPUT_DIR", "x"]
    cfg = make_config("SEED", 7, "MODEL.HEADS.NUM_CLASSES", 3, "INPUT.CUT.PROB", 0.5, *free)
    paths = [tmp_path / name for name in ("m.safetensors", "m.onnx", "m.pth")]
    mean = {"averaged": 2, "trainings": [{}, {"SEED": 8}], "epoch": 3}
    write_model_file(str(paths[0]), STATE, cfg, mean)
    made_onnx.write(paths[1], made_onnx.metadata(cfg))
    torch.save({"model": STATE, "config": cfg.dump()}, paths[2])
    trained = {"trained_with": {"SEED": 7, "INPUT.CUT.PROB": 0.5}}
    found = [training_of(str(path), make_config("SEED", 1)) for path in paths]
    of_a_mean = {"averaged": 2, "trainings": [{}, {"SEED": 8}]}
    assert found == [{**trained, **of_a_mean}, trained, trained]
    assert training_of(str(paths[2]), cfg) == {"trained_with": {}}
    begun = make_config("MODEL.BACKBONE.PRETRAIN", True)
    torch.save({"model": STATE, "config": begun.dump()}, paths[2])
    found = training_of(str(paths[2]), make_config("MODEL.BACKBONE.PRETRAIN", False))
    assert found == {"trained_with": {"MODEL.BACKBONE.PRETRAIN": True}}


def test_what_a_training_did_not_know_yet_had_its_default(
    tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    """And a config of another program, of whatever form, is no error."""
    path = tmp_path / "m.pth"
    torch.save({"model": STATE, "config": "SEED: 1\nDATASETS: {NAMES: null}\n"}, path)
    cfg = make_config("SEED", 1, "MODEL.LOSSES.RECONSTRUCTION.KIND", "soft_margin")
    found = training_of(str(path), cfg)["trained_with"]
    assert found["MODEL.LOSSES.RECONSTRUCTION.KIND"] == "softmax" and "SEED" not in found


def test_of_a_checkpoint_without_config_nothing_is_said(
    tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    torch.save({"model": STATE}, tmp_path / "old.pth")
    assert training_of(str(tmp_path / "old.pth"), make_config()) == {}
