"""Batches on the device of the model that takes them.

Loaders give batches on the CPU. FastReID's architectures expect them on the model's device, as its
own loader, which needs CUDA, puts them there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's first parameter; the CPU for a model that has none."""
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def on_device(batch: Any, device: torch.device) -> Any:
    """A batch with its tensors on a device; the host does not wait for their arrival.

    Args:
        batch: a dict, which stays as it is, or a tensor. Anything else is given back.
        device: where the tensors are wanted. Those that are there already are not copied.
    """
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: on_device(value, device) for key, value in batch.items()}
    return batch


def batches_on(device: torch.device, loader: Iterable[Any]) -> Iterator[Any]:
    """The batches of a loader, each put on a device when it is asked for."""
    for batch in loader:
        yield on_device(batch, device)
