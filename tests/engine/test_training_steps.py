"""Steps of training: what is logged is what was computed, and mixed precision on any device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fastreid.utils.events import EventStorage
from torch import Tensor, nn

from partialreid.engine.training_steps import FullPrecisionSteps, MixedPrecisionSteps
from tests.standin.gpu import StandInGpu

KINDS = (FullPrecisionSteps, MixedPrecisionSteps)


class Model(nn.Module):
    """Two losses of one weight; the batch is what they are of."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1, bias=False)
        nn.init.ones_(self.layer.weight)

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        found = self.layer(batch.to(self.layer.weight.device))
        self.dtype = found.dtype
        return {"loss_a": found.float().mean(), "loss_b": 3 * found.float().square().mean()}


def steps(kind: Any, device: str, *batches: Tensor) -> tuple[Any, Model]:
    model = Model().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return kind(model, list(batches), optimizer, None), model


@pytest.mark.parametrize("kind", KINDS)
def test_logged_losses_are_those_of_the_batch_in_one_copy(standin: StandInGpu, kind: Any) -> None:
    # So small that nothing overflows at the first scale, 2^16.
    trainer, model = steps(kind, standin.name, torch.full((8, 4), 1 / 32))
    with EventStorage(0) as storage:
        with standin.count() as seen:
            trainer.run_step()
        said = {name: value for name, (value, _) in storage.latest().items()}
    assert (said["loss_a"], said["loss_b"]) == (1 / 8, 3 / 64)
    assert said["total_loss"] == 1 / 8 + 3 / 64
    # One copy of both losses; mixed precision also looks whether a gradient has overflowed.
    assert seen.synchronisations == 1 + (kind is MixedPrecisionSteps), seen
    # dL/dw = (1 + 3 * 2 / 8) / 32.
    expected = torch.full((1, 4), 1 - 0.01 * 1.75 / 32)
    torch.testing.assert_close(model.layer.weight.detach().cpu(), expected)


def test_mixed_precision_computes_in_float16(standin: StandInGpu) -> None:
    trainer, model = steps(MixedPrecisionSteps, standin.name, torch.ones(2, 4))
    with EventStorage(0):
        trainer.run_step()
    assert model.dtype == torch.float16
    assert model.layer.weight.dtype == torch.float32


def test_mixed_precision_of_a_cpu_is_bfloat16_without_a_scale() -> None:
    trainer, model = steps(MixedPrecisionSteps, "cpu", torch.full((8, 4), 1 / 32))
    with EventStorage(0):
        trainer.run_step()
    assert model.dtype == torch.bfloat16
    # A loss times 2^16 would have other rounding, and a gradient of 1e6 no place in float16.
    expected = torch.full((1, 4), 1 - 0.01 * 1.75 / 32)
    torch.testing.assert_close(model.layer.weight.detach(), expected)
    trainer, model = steps(MixedPrecisionSteps, "cpu", 1e4 * torch.ones(1, 4))
    with EventStorage(0):
        trainer.run_step()
    assert model.layer.weight.max() < -1e6
    assert trainer.grad_scaler.get_scale() == 1


def test_an_overflow_leaves_the_step_out(standin: StandInGpu) -> None:
    trainer, model = steps(MixedPrecisionSteps, standin.name, 1e4 * torch.ones(1, 4))
    scale = trainer.grad_scaler.get_scale()
    with EventStorage(0):
        trainer.run_step()
    assert torch.equal(model.layer.weight.detach().cpu(), torch.ones(1, 4))
    assert trainer.grad_scaler.get_scale() == scale / 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_that_is_no_number_ends_the_training(standin: StandInGpu, kind: Any) -> None:
    trainer, model = steps(kind, standin.name, torch.full((1, 4), torch.nan))
    said = "at iteration 7 loss_a is nan, loss_b is nan. Lower SOLVER.BASE_LR"
    with EventStorage(7), pytest.raises(FloatingPointError, match=said) as caught:
        trainer.run_step()
    assert ("AMP" in str(caught.value)) == (kind is MixedPrecisionSteps)
    # The step is not taken.
    assert torch.equal(model.layer.weight.detach().cpu(), torch.ones(1, 4))
