"""Training steps of all systems on the stand-in GPU: those of the CPU, and few waits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fastreid.utils.events import EventStorage
from torch import Tensor

from partialreid.engine.training_steps import FullPrecisionSteps
from tests.small_systems import SYSTEMS, batch, config, network
from tests.standin.gpu import StandInGpu

STEPS = 2


def trained(device: str, system: str) -> tuple[list[dict[str, float]], dict[str, Tensor], Any]:
    """Losses of each step, gradients of the last one and the weights after it."""
    model, optimizer, wrapper = network(config(device, *SYSTEMS[system]))
    trainer = FullPrecisionSteps(model, [batch(0), batch(1)], optimizer, wrapper)
    losses = []
    with EventStorage(0) as storage:
        for _ in range(STEPS):
            trainer.run_step()
            losses.append({k: v[0] for k, v in storage.latest().items() if "time" not in k})
    gradients = {k: v.grad for k, v in model.named_parameters() if v.grad is not None}
    return losses, gradients, model.state_dict()


@pytest.mark.parametrize("system", SYSTEMS)
def test_steps_are_those_of_the_cpu(standin: StandInGpu, system: str) -> None:
    losses, gradients, weights = trained(standin.name, system)
    expected, expected_gradients, expected_weights = trained("cpu", system)
    for one, other in zip(losses, expected, strict=True):
        assert {k: float(v) for k, v in one.items()} == pytest.approx(
            {k: float(v) for k, v in other.items()}, rel=1e-5
        )
    assert set(gradients) == set(expected_gradients)
    for mine, theirs in ((gradients, expected_gradients), (weights, expected_weights)):
        for name, value in mine.items():
            assert value.device == standin.device, name
            torch.testing.assert_close(value.cpu(), theirs[name], atol=1e-5, rtol=1e-4)
