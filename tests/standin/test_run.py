"""A whole run on the stand-in GPU, from the first batch to results.json: that of the CPU."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from partialreid.commands.train import build_parser
from partialreid.engine.configuration import setup_config
from partialreid.engine.trainer import PartialTrainer
from tests import tiny
from tests.standin.gpu import StandInGpu

# What puts something more on the device: masks, mirrored images, precise batch norm.
KEYS = {
    "MODEL__META_ARCHITECTURE": "FPRBaseline",
    "MODEL__BACKBONE__NAME": "build_small_resnet_backbone",
    "MODEL__BACKBONE__FEAT_DIM": 128,
    "MODEL__BACKBONE__WITH_IBN": False,
    "MODEL__CHANNELS_LAST": "off",
    "INPUT__OCCLUSION__ENABLED": True,
    "DATASETS__SYNTHETIC__TRAIN_IDS": 8,
    "DATASETS__SYNTHETIC__TEST_IDS": 6,
    "TEST__FLIP__ENABLED": True,
    "TEST__PRECISE_BN__ENABLED": True,
    "TEST__PRECISE_BN__DATASET": "SyntheticPartial",
    "TEST__PRECISE_BN__NUM_ITER": 1,
}


# FastReID's own architecture, which does not move its batches itself.
BASELINE = {
    **{key: value for key, value in KEYS.items() if not key.startswith(("INPUT", "TEST__FLIP"))},
    "MODEL__META_ARCHITECTURE": "Baseline",
    "MODEL__HEADS__NAME": "EmbeddingHead",
    "TEST__DSR__ENABLED": False,
}


def run(
    root: Path,
    output: Path,
    device: str,
    mixed: bool = False,
    resume: bool = False,
    changes: dict[str, Any] = KEYS,
) -> dict[str, float]:
    """Train two epochs, or the second of them again, and evaluate after each: the last results."""
    keys = tiny.options(root, output, **changes)
    cfg = setup_config(build_parser().parse_args(["--config-file", tiny.CONFIG, *keys]))
    cfg.defrost()
    cfg.MODEL.DEVICE, cfg.SOLVER.AMP.ENABLED = device, mixed
    trainer = PartialTrainer(cfg)
    if resume:
        (output / "last_checkpoint").write_text("model_0000.pth")
        trainer.resume_or_load(resume=True)
        assert trainer.start_epoch == 1
    return dict(trainer.train())


@pytest.mark.slow
def test_train_evaluate_resume(standin: StandInGpu, tmp_path: Path) -> None:
    gpu, cpu = tmp_path / "gpu", tmp_path / "cpu"
    results = run(tmp_path, gpu, standin.name)
    written = json.loads((gpu / "results.json").read_text())
    assert written["SyntheticPartial"]["global"]["mAP"] == results["global/mAP"]
    expected = run(tmp_path, cpu, "cpu")
    assert tiny.losses(gpu) == pytest.approx(tiny.losses(cpu), rel=1e-3)
    # Two equally near images may change places.
    assert results == pytest.approx(expected, abs=10)
    assert run(tmp_path, gpu, standin.name, resume=True) == results


@pytest.mark.slow
@pytest.mark.parametrize("mixed", [False, True])
def test_fastreids_baseline(standin: StandInGpu, tmp_path: Path, mixed: bool) -> None:
    gpu, cpu = tmp_path / "gpu", tmp_path / "cpu"
    results = run(tmp_path, gpu, standin.name, mixed, changes=BASELINE)
    written = json.loads((gpu / "results.json").read_text())
    assert written["SyntheticPartial"]["global"]["mAP"] == results["mAP"] > 0
    expected = run(tmp_path, cpu, "cpu", changes=BASELINE)
    if mixed:  # Later losses follow steps that were left out.
        assert tiny.losses(gpu)[0] == pytest.approx(tiny.losses(cpu)[0], rel=0.01)
    else:
        assert tiny.losses(gpu) == pytest.approx(tiny.losses(cpu), rel=1e-3)
        assert results == pytest.approx(expected, abs=10)


@pytest.mark.slow
def test_mixed_precision_resumes_with_its_scale(standin: StandInGpu, tmp_path: Path) -> None:
    results = run(tmp_path, tmp_path / "run", standin.name, mixed=True)
    saved = torch.load(tmp_path / "run" / "model_final.pth")
    steps = len(tiny.losses(tmp_path / "run"))
    # Begun at 2^16, halved whenever a gradient overflows and not doubled in so few steps.
    halved = math.log2(2.0**16 / saved["grad_scaler"]["scale"])
    assert 0 <= halved < steps and halved.is_integer()
    assert run(tmp_path, tmp_path / "run", standin.name, mixed=True, resume=True) == results
