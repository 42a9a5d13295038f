"""Images are normalised as timm's network has learnt them, or a warning says that they are not."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.config import get_cfg
from fastreid.modeling import build_model
from fastreid.modeling.backbones import build_backbone

from partialreid.backbones import timm_statistics
from partialreid.backbones.timm_statistics import statistics
from partialreid.engine.configuration import model_config, setup_config
from partialreid.engine.model_file import write_model_file
from tests import tiny

DEFAULT = get_cfg().MODEL
OF_TIMM = ("MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.BACKBONE.PRETRAIN", "False")
HALF = ("MODEL.BACKBONE.TIMM", "test_vit", "MODEL.BACKBONE.FEAT_DIM", "64")
IMAGENET = ("MODEL.BACKBONE.TIMM", "resnet10t", "MODEL.BACKBONE.FEAT_DIM", "512")


GIVEN = ("MODEL.PIXEL_MEAN", "[123.675, 116.28, 103.53]")


def settled(*options: str, config_file: str = tiny.CONFIG) -> Any:
    return setup_config(argparse.Namespace(config_file=config_file, opts=list(options)))


@pytest.fixture(autouse=True)
def unsaid() -> None:
    timm_statistics._warn_once.cache_clear()


def test_statistics_are_those_of_the_weights() -> None:
    """By the table of timm: those of augreg are halves, those of CLIP its own."""
    assert statistics("vit_tiny_patch16_224.augreg_in21k") == ([127.5] * 3, [127.5] * 3)
    mean, deviation = statistics("vit_base_patch16_clip_224.openai")
    assert mean == pytest.approx([122.771, 116.746, 104.094], abs=0.001)
    assert deviation == pytest.approx([68.501, 66.632, 70.323], abs=0.001)
    # FastReID's are ImageNet's.
    mean, deviation = statistics("resnet50.a1_in1k")
    assert mean == pytest.approx(DEFAULT.PIXEL_MEAN) and deviation == pytest.approx(
        DEFAULT.PIXEL_STD
    )


def test_a_command_line_settles_them() -> None:
    cfg = settled(*OF_TIMM, *HALF)
    assert cfg.MODEL.PIXEL_MEAN == cfg.MODEL.PIXEL_STD == [127.5] * 3
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.HEADS.NUM_CLASSES, cfg.MODEL.DEVICE = 4, "cpu"
    model = build_model(cfg)
    images = torch.tensor([0.0, 127.5, 255.0]).repeat(1, 3, 4, 1)
    assert torch.equal(
        model.preprocess_image({"images": images}), torch.tensor([-1.0, 0, 1]).repeat(1, 3, 4, 1)
    )


@pytest.mark.parametrize(
    ("options", "mean"),
    [
        ((*OF_TIMM, *IMAGENET), DEFAULT.PIXEL_MEAN),
        # Of another backbone.
        (HALF, DEFAULT.PIXEL_MEAN),
        # What a user has set stays.
        ((*OF_TIMM, *HALF, "MODEL.PIXEL_MEAN", "[1.0, 2.0, 3.0]"), [1.0, 2.0, 3.0]),
        # What does not exist is said by the check of the network.
        ((*OF_TIMM, "MODEL.BACKBONE.TIMM", "absent"), DEFAULT.PIXEL_MEAN),
    ],
)
def test_otherwise_a_config_stays_as_it_is(options: tuple[str, ...], mean: list[float]) -> None:
    held = settled(*options).MODEL.PIXEL_MEAN
    assert held == mean


@pytest.mark.parametrize("of_a_file", ["", "own.yml", "based_on_it.yml"])
def test_what_is_given_stays_though_it_is_the_default(of_a_file: str, tmp_path: Path) -> None:
    """By an option, by a file, or by a file that it is based on. Both stay where one is given."""
    tree = f"_BASE_: {Path(tiny.CONFIG).resolve()}\nMODEL:\n  {GIVEN[0][6:]}: {GIVEN[1]}\n"
    (tmp_path / "own.yml").write_text(tree)
    (tmp_path / "based_on_it.yml").write_text("_BASE_: own.yml\nSEED: 3\n")
    if of_a_file:
        cfg = settled(*OF_TIMM, *HALF, config_file=str(tmp_path / of_a_file))
    else:
        cfg = settled(*OF_TIMM, *HALF, *GIVEN)
    assert cfg.MODEL.PIXEL_MEAN == DEFAULT.PIXEL_MEAN
    assert cfg.MODEL.PIXEL_STD == DEFAULT.PIXEL_STD


def test_a_file_that_says_something_else_of_a_network(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text(f"_BASE_: {Path(tiny.CONFIG).resolve()}\nSEED: 3\n")
    cfg = settled(*OF_TIMM, *HALF, config_file=str(tmp_path / "own.yml"))
    assert cfg.MODEL.PIXEL_MEAN == cfg.MODEL.PIXEL_STD == [127.5] * 3


def saved(cfg: Any, path: Path) -> str:
    """A model, or a checkpoint, with this config."""
    state = {"weight": torch.ones(2)}
    if path.suffix == ".pth":
        torch.save({"model": state, "config": cfg.dump()}, path)
    else:
        write_model_file(str(path), state, cfg, {})
    return str(path)


@pytest.mark.parametrize("name", ["m.safetensors", "m.pth"])
@pytest.mark.parametrize("given", [(), GIVEN], ids=["those of timm", "given"])
def test_a_saved_model_keeps_those_of_its_training(
    given: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    cfg = settled(*OF_TIMM, *HALF, *given)
    path, trained = saved(cfg, tmp_path / name), cfg.MODEL
    assert (trained.PIXEL_MEAN == DEFAULT.PIXEL_MEAN) == bool(given)
    as_a_command = argparse.Namespace(config_file="", model=path, opts=[])
    for read in (model_config(path, []).MODEL, setup_config(as_a_command).MODEL):
        assert read.PIXEL_MEAN == trained.PIXEL_MEAN and read.PIXEL_STD == trained.PIXEL_STD


@pytest.mark.parametrize("name", ["m.safetensors", "m.pth"])
def test_a_saved_model_may_have_learnt_with_those_of_fastreid(
    name: str, make_config: Any, tmp_path: Path
) -> None:
    """A config that was made in Python, and never settled."""
    read = model_config(saved(make_config(*OF_TIMM, *HALF), tmp_path / name), []).MODEL
    assert read.PIXEL_MEAN == DEFAULT.PIXEL_MEAN and read.PIXEL_STD == DEFAULT.PIXEL_STD


def test_other_statistics_are_said_once(make_config, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        build_backbone(make_config(*OF_TIMM, *IMAGENET))
        assert not caplog.messages
        for _ in range(2):
            build_backbone(make_config(*OF_TIMM, *HALF))
    (said,) = [text for text in caplog.messages if "PIXEL_MEAN" in text]
    assert "timm's test_vit were trained with [127.5, 127.5, 127.5] and [127.5" in said
    assert "123.675" in said
