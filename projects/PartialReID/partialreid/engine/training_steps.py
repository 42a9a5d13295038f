"""One iteration of training, in float32 or in mixed precision: FastReID's, for any device.

FastReID copies the losses from the GPU one by one and waits for each. It also copies them on a
second stream that does not wait until they are computed: what it logs, and checks for NaN, may be
what the memory held before. Here they are copied together, after they are computed. And FastReID's
mixed precision knows CUDA alone. A CPU computes in bfloat16, which has the range of float32:
nothing overflows, and losses are not scaled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from fastreid.engine.train_loop import AMPTrainer, SimpleTrainer
from fastreid.utils.events import get_event_storage
from torch import Tensor, nn

from ..runtime.device_batches import batches_on, device_of
from .divergence import check_losses


class FullPrecisionSteps(SimpleTrainer):
    """Steps in the dtype of the weights.

    Args, as FastReID's trainer:
        model: returns a dict of losses.
        data_loader: gives batches, which are put on the model's device.
        optimizer: of the model's parameters.
        param_wrapper: what FastReID's `build_optimizer` returns with the optimizer.
    """

    _data_loader_iter: Iterator[Any]

    def __init__(
        self, model: nn.Module, data_loader: Any, optimizer: Any, param_wrapper: Any
    ) -> None:
        super().__init__(model, data_loader, optimizer, param_wrapper)
        self._data_loader_iter = batches_on(device_of(model), self._data_loader_iter)

    def _write_metrics(self, loss_dict: dict[str, Tensor], data_time: float) -> None:
        losses = fetched(loss_dict)
        check_losses(losses, get_event_storage().iter)
        super()._write_metrics(losses, data_time)


class MixedPrecisionSteps(AMPTrainer):
    """Steps under autocast: on a CPU to bfloat16, elsewhere to float16, whose losses are scaled.

    Scaled, small gradients survive in float16. Where one overflows, the step is left out and the
    scale halved.

    Args: as `FullPrecisionSteps`.
    """

    _data_loader_iter: Iterator[Any]

    def __init__(
        self, model: nn.Module, data_loader: Any, optimizer: Any, param_wrapper: Any
    ) -> None:
        device = device_of(model)
        self._device = device.type
        self._dtype = torch.bfloat16 if device.type == "cpu" else torch.float16
        # One that is not enabled changes nothing and says that its scale is 1.
        scaler = torch.amp.GradScaler(self._device, enabled=self._dtype == torch.float16)
        super().__init__(model, data_loader, optimizer, param_wrapper, scaler)
        self._data_loader_iter = batches_on(device, self._data_loader_iter)

    def run_step(self) -> None:
        """Train on the next batch."""
        start = time.perf_counter()
        data = next(self._data_loader_iter)
        data_time = time.perf_counter() - start
        with torch.autocast(self._device, dtype=self._dtype):
            losses = self.model(data)
            total = sum(losses.values())
        self.optimizer.zero_grad()
        self.grad_scaler.scale(total).backward()
        self._write_metrics(losses, data_time)
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()

    def _write_metrics(self, loss_dict: dict[str, Tensor], data_time: float) -> None:
        losses = fetched(loss_dict)
        check_losses(losses, get_event_storage().iter, mixed=True)
        super()._write_metrics(losses, data_time)


def fetched(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """The losses on the CPU, in one copy that waits for them."""
    values = torch.stack([loss.detach().double() for loss in losses.values()]).cpu()
    return dict(zip(losses, values, strict=True))
