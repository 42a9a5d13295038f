"""What the stand-in GPU shows, on real ones; left out where none is visible (`make gpu`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from partialreid.engine.launching import launch
from tests import tiny
from tests.small_evaluation import (
    EVERY,
    check_distances,
    check_halves,
    evaluate_half,
    evaluated,
    name_of,
)
from tests.small_systems import SYSTEMS, step

# Products of float32 add up in another order; float16 columns meet in float32.
DISTANCES = 1e-4
# Share of a loss, and of the direction of all gradients together, by the precision of a step.
STEPS = {None: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.05}
SMALL = {
    "MODEL__DEVICE": "cuda",
    "MODEL__BACKBONE__NAME": "build_small_resnet_backbone",
    "MODEL__BACKBONE__FEAT_DIM": 128,
    "MODEL__BACKBONE__WITH_IBN": False,
    "MODEL__META_ARCHITECTURE": "FPRBaseline",
    "INPUT__OCCLUSION__ENABLED": True,
    "TEST__PRECISE_BN__ENABLED": True,
    "TEST__PRECISE_BN__DATASET": "SyntheticPartial",
    "TEST__PRECISE_BN__NUM_ITER": 1,
}


@pytest.fixture(autouse=True)
def full_float32() -> Iterator[None]:
    """Convolutions in float32, which run in TF32 otherwise."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.cuda
@pytest.mark.parametrize("settings", EVERY, ids=name_of)
def test_evaluation(settings: dict[str, Any]) -> None:
    evaluator, results = evaluated("cuda", settings)
    expected, expected_results = evaluated("cpu", settings)
    check_distances(evaluator.distances, expected.distances, DISTANCES)
    assert results.keys() == expected_results.keys()


@pytest.mark.cuda(2)
def test_evaluation_on_two(tmp_path: Path, time_limit: Any) -> None:
    with time_limit(300):
        launch(evaluate_half, "cuda", 2, args=(str(tmp_path), "cuda"))
    check_halves(tmp_path, DISTANCES)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", STEPS, ids=str)
@pytest.mark.parametrize("system", SYSTEMS)
def test_training_step(system: str, dtype: torch.dtype | None) -> None:
    losses, gradients, _ = step("cuda", system, dtype)
    expected, expected_gradients, _ = step("cpu", system, None)
    # The verification loss is a difference of squared residuals between 0 and 1.
    least = STEPS[dtype] if "loss_verification" in losses else 0
    assert losses == pytest.approx(expected, rel=STEPS[dtype], abs=least)
    assert set(gradients) == set(expected_gradients)
    mine, theirs = (
        torch.cat([part[name].cpu().flatten() for name in sorted(gradients)])
        for part in (gradients, expected_gradients)
    )
    assert torch.nn.functional.cosine_similarity(mine, theirs, dim=0) > 1 - STEPS[dtype]


@pytest.mark.cuda
@pytest.mark.parametrize("mixed", [False, True])
def test_whole_run(tmp_path: Path, mixed: bool) -> None:
    results = tiny.run(
        tmp_path, tmp_path / "run", "--num-gpus", "1", **SMALL, SOLVER__AMP__ENABLED=mixed
    )
    assert results["run"]["device"].startswith("cuda")
    losses = tiny.losses(tmp_path / "run")
    assert sum(losses.values()) < len(losses) * losses[0]
    # Continued from its own end, it evaluates to the same numbers.
    again = tiny.run(
        tmp_path,
        tmp_path / "run",
        "--resume",
        "--num-gpus",
        "1",
        **SMALL,
        SOLVER__AMP__ENABLED=mixed,
    )
    for distance in ("global", "reconstruction", "fused"):
        assert again["SyntheticPartial"][distance] == pytest.approx(
            results["SyntheticPartial"][distance], abs=5
        )


@pytest.mark.cuda(2)
def test_whole_run_on_two(tmp_path: Path, time_limit: Any) -> None:
    with time_limit(300):
        results = tiny.run(tmp_path, tmp_path / "run", "--num-gpus", "2", **SMALL)
    assert results["run"]["processes"] == 2
    losses = tiny.losses(tmp_path / "run")
    assert sum(losses.values()) < len(losses) * losses[0]
