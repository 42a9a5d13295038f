"""Losses that an architecture of FastReID does not know, and distillations without a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from partialreid.engine.checks import check_config
from partialreid.engine.loss_checks import LOSSES, warn_of_late_losses
from tests.whole_config import whole_config


def config(make_config, architecture: str, *options: Any) -> Any:
    return whole_config(
        make_config,
        *("MODEL.META_ARCHITECTURE", architecture, "MODEL.HEADS.NAME", "EmbeddingHead"),
        *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.FEAT_DIM", 128),
        *("TEST.DSR.ENABLED", False, *options),
    )


@pytest.mark.parametrize("architecture", ["Baseline", "MoCo", "Distiller"])
def test_unknown_losses(make_config, architecture: str) -> None:
    options = ["KD.EMA.ENABLED", True, "MODEL.LOSSES.NAME", ("TripletLoss", "Foo")]
    with pytest.raises(ValueError) as caught:
        check_config(config(make_config, architecture, *options), 1, eval_only=False)
    said = str(caught.value)
    assert said.startswith(f"MODEL.LOSSES.NAME holds Foo; {architecture} knows CrossEntropyLoss, ")
    check_config(config(make_config, architecture, *options[:3], LOSSES), 1, eval_only=False)
    check_config(config(make_config, architecture, *options), 1, eval_only=True)


def test_no_loss_at_all(make_config) -> None:
    none = ["MODEL.LOSSES.NAME", (), "KD.EMA.ENABLED", True]
    with pytest.raises(ValueError, match=r"MODEL\.LOSSES\.NAME is empty; Baseline knows Cross"):
        check_config(config(make_config, "Baseline", *none), 1, eval_only=False)
    # These have one of their own.
    for architecture in ("MoCo", "Distiller"):
        check_config(config(make_config, architecture, *none), 1, eval_only=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "there is no teacher: name one in KD.MODEL_CONFIG and KD.MODEL_WEIGHTS"),
        (["KD.MODEL_CONFIG", ["a.yml"]], "KD.MODEL_CONFIG names 1 teachers and KD.MODEL_WEIGHTS 0"),
        (
            ["KD.MODEL_CONFIG", ["absent.yml"], "KD.MODEL_WEIGHTS", ["absent.pth"]],
            'KD.MODEL_CONFIG names "absent.yml", which is not there',
        ),
    ],
)
def test_teachers(make_config, options: list[Any], said: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        check_config(config(make_config, "Distiller", *options), 1, eval_only=False)
    assert said in str(caught.value)


def test_weights_of_a_teacher(make_config, tmp_path: Path) -> None:
    (tmp_path / "teacher.yml").write_text("MODEL: {DEVICE: cpu}\n")
    options = ["KD.MODEL_CONFIG", [str(tmp_path / "teacher.yml")], "KD.MODEL_WEIGHTS", [""]]
    with pytest.raises(FileNotFoundError, match=r'KD\.MODEL_WEIGHTS names ""'):
        check_config(config(make_config, "Distiller", *options), 1, eval_only=False)


@pytest.mark.parametrize("architecture", ["Baseline", "MoCo"])
def test_neck_features_of_fastreids_head(make_config, architecture: str) -> None:
    cfg = config(make_config, architecture, "MODEL.HEADS.NECK_FEAT", "foo")
    with pytest.raises(ValueError, match=r"NECK_FEAT is 'foo'; it can be before, after\."):
        check_config(cfg, 1, eval_only=False)


def test_a_queue_that_batches_do_not_fill(make_config) -> None:
    cfg = config(make_config, "MoCo", "MODEL.QUEUE_SIZE", 40)
    with pytest.raises(ValueError, match=r"QUEUE_SIZE is 40.*IMS_PER_BATCH 16 .* multiple"):
        check_config(cfg, 1, eval_only=False)
    check_config(config(make_config, "MoCo", "MODEL.QUEUE_SIZE", 32), 1, eval_only=False)


EMBEDDING = ["MODEL.META_ARCHITECTURE", "Baseline", "MODEL.HEADS.NAME", "EmbeddingHead"]
START = "MODEL.LOSSES.TRI.START_ITER"


def test_no_loss_before_the_triplet_loss(make_config) -> None:
    alone = ["MODEL.LOSSES.NAME", ("TripletLoss",), START, 2]
    with pytest.raises(ValueError, match=f"{START} is 2, and MODEL.LOSSES.NAME has no other loss"):
        check_config(whole_config(make_config, *alone), 1, eval_only=False)
    check_config(whole_config(make_config, *alone), 1, eval_only=True)
    check_config(whole_config(make_config, *alone[:3], 0), 1, eval_only=False)
    # These have another loss from the start.
    for name, head in (("FPRBaseline", "DSRHead"), ("DSR2018", "DSR2018Head")):
        own = ["MODEL.META_ARCHITECTURE", name, "MODEL.HEADS.NAME", head]
        own += ["INPUT.OCCLUSION.ENABLED", True]
        check_config(whole_config(make_config, *alone, *own), 1, eval_only=False)
    # FastReID's own begins at once, whatever this key says.
    check_config(config(make_config, "Baseline", *alone), 1, eval_only=False)


DSR = ["MODEL.META_ARCHITECTURE", "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head"]
SOFTMAX = ["MODEL.LOSSES.NAME", ("CrossEntropyLoss",)]
BOTH = ["MODEL.LOSSES.NAME", ("CrossEntropyLoss", "TripletLoss")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([*BOTH, START, 8], [START]),
        ([*BOTH, START, 7], []),
        # Not asked for, so that it cannot be late.
        ([*SOFTMAX, START, 8], []),
        ([*DSR, *SOFTMAX, "MODEL.LOSSES.VERIFICATION.START_ITER", 9], ["VERIFICATION.START_ITER"]),
        ([*DSR, "MODEL.LOSSES.VERIFICATION.START_ITER", 7, *BOTH, START, 9], [START]),
        (["MODEL.LOSSES.VERIFICATION.START_ITER", 9], []),
        ([*BOTH, *EMBEDDING, START, 9], []),
    ],
)
def test_losses_that_never_begin(make_config, caplog, options: list[Any], said: list[str]) -> None:
    warn_of_late_losses(whole_config(make_config, *options), 8)
    assert len(caplog.messages) == len(said)
    for message, key in zip(caplog.messages, said, strict=True):
        assert f"{key} is" in message
        assert "this training has 8 iterations: the loss never begins" in message
