"""Training steps under autocast on the stand-in GPU, in both 16-bit types: near float32's."""

from __future__ import annotations

import pytest
import torch

from tests.small_systems import SYSTEMS, step
from tests.standin.gpu import StandInGpu

# Share of a loss. A network of 16-bit products is off by a few roundings: 2^-11 or 2^-8 each.
# The verification loss is a difference of squared residuals between 0 and 1, hence a share of 1.
TOLERANCE = {torch.float16: 0.01, torch.bfloat16: 0.05}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_step_is_near_that_of_float32(
    standin: StandInGpu, system: str, dtype: torch.dtype
) -> None:
    losses, gradients, model = step(standin.name, system, dtype)
    expected, expected_gradients, expected_model = step("cpu", system, None)
    near = {
        "rel": TOLERANCE[dtype],
        "abs": TOLERANCE[dtype] if "loss_verification" in losses else 0,
    }
    assert losses == pytest.approx(expected, **near)
    assert set(gradients) == set(expected_gradients)
    for name, gradient in gradients.items():
        assert gradient.dtype == torch.float32, name
        assert gradient.cpu().isfinite().all(), name
    # All directions together: a single small gradient may be nothing but rounding.
    mine, theirs = (
        torch.cat([part[name].cpu().flatten() for name in sorted(gradients)])
        for part in (gradients, expected_gradients)
    )
    assert torch.nn.functional.cosine_similarity(mine, theirs, dim=0) > 1 - TOLERANCE[dtype]
    for name, weight in model.state_dict().items():
        assert weight.dtype == expected_model.state_dict()[name].dtype, name
