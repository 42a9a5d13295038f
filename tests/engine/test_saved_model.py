"""The config of a model in each kind of file, and of a checkpoint that does not hold its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from partialreid.engine.configuration import model_config
from partialreid.engine.model_file import write_model_file
from partialreid.engine.model_header import config_tree
from partialreid.engine.saved_model import brings_config, stored_calibration, stored_config
from tests import made_onnx

STATE = {"weight": torch.ones(2)}
LEARNT = {"kind": "fused"}


def test_each_kind_of_file_says_its_config(tmp_path: Path, make_config: Callable[..., Any]) -> None:
    cfg = make_config("SEED", 7, "DATASETS.ROOT", "/home/somebody", "MODEL.DEVICE", "cuda")
    paths = [tmp_path / name for name in ("m.safetensors", "m.onnx", "m.pth")]
    write_model_file(str(paths[0]), STATE, cfg, {}, calibration=LEARNT)
    made_onnx.write(paths[1], made_onnx.metadata(cfg, calibration=LEARNT))
    torch.save({"model": STATE, "config": cfg.dump()}, paths[2])
    for path in paths:
        assert brings_config(str(path))
        tree, source = stored_config(str(path))
        assert source == str(path) and tree == config_tree(cfg)
        assert "ROOT" not in tree["DATASETS"] and "DEVICE" not in tree["MODEL"]
        found = model_config(str(path), ["TEST.DSR.LAMBDA", "0.25", "MODEL.DEVICE", "cpu"])
        assert found.SEED == 7 and found.TEST.DSR.LAMBDA == 0.25
        assert str(path) == found.MODEL.WEIGHTS
    assert [stored_calibration(str(path)) for path in paths] == [LEARNT, LEARNT, None]
    assert not brings_config("demo.yml")


@pytest.fixture
def without_config(tmp_path: Path) -> Path:
    """A checkpoint as older versions and the original code have written it."""
    torch.save({"model": STATE}, tmp_path / "old.pth")
    return tmp_path / "old.pth"


def test_the_file_beside_a_checkpoint_may_be_based_on_another(
    without_config: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("_BASE_: base.yml\nSEED: 3\n")
    (tmp_path / "base.yml").write_text("SEED: 2\nMODEL:\n  HEADS:\n    DSR:\n      STRIDE: 3\n")
    cfg = model_config(str(without_config), ["MODEL.DEVICE", "cpu"])
    assert (cfg.SEED, cfg.MODEL.HEADS.DSR.STRIDE) == (3, 3)
    with pytest.raises(ValueError, match=r'^MODEL\.HEADS\.DSR\.STRIDE is 3 in ".*config\.yaml"'):
        model_config(str(without_config), ["MODEL.HEADS.DSR.STRIDE", "2"])


def test_a_checkpoint_without_a_config(without_config: Path) -> None:
    with pytest.raises(ValueError) as caught:
        model_config(str(without_config), [])
    assert str(caught.value) == (
        f'"{without_config}" does not hold the config that it was trained with, and there is no '
        "config.yaml beside it: put it there, or give --config-file FILE to `partialreid export`, "
        "which makes one model file of both."
    )


def test_what_another_program_calls_its_config(tmp_path: Path) -> None:
    for other in ("a: [", "- a list", {"a": 1}):
        torch.save({"model": STATE, "config": other}, tmp_path / "m.pth")
        with pytest.raises(ValueError, match="does not hold the config"):
            stored_config(str(tmp_path / "m.pth"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "is no YAML file of keys and values"),
        ("only words", "is no YAML file of keys and values"),
        ("", "is no YAML file of keys and values"),
        ("a: [", "while parsing"),
        ("SEEED: 3", "Non-existent config key: SEEED"),
        ("_BASE_: absent.yml", "absent.yml"),
    ],
)
def test_a_wrong_file_beside_it_is_named(
    text: str, said: str, without_config: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError) as caught:
        model_config(str(without_config), [])
    message = str(caught.value)
    assert message.startswith(f'"{tmp_path / "config.yaml"}"') and said in message
    assert "\n" not in message


def test_the_config_beside_it_is_that_of_a_training(
    without_config: Path, tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    cfg = make_config("SEED", 5)
    (tmp_path / "config.yaml").write_text(cfg.dump())
    tree, source = stored_config(str(without_config))
    assert source == str(tmp_path / "config.yaml")
    assert tree == config_tree(cfg) and yaml.safe_load(cfg.dump())["OUTPUT_DIR"]
    assert "OUTPUT_DIR" not in tree
