"""Tensors and objects that the processes of an evaluation exchange, by gloo or NCCL.

Every process must call each function, in the same order. A process that is alone gets back what it
has given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is; 0 is the main one."""
    return dist.get_rank() if world_size() > 1 else 0


def group_device() -> torch.device:
    """Where tensors must lie to be sent: NCCL sends from GPUs, gloo from the CPU."""
    if world_size() > 1 and dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def gather_objects(value: T) -> list[T]:
    """A small picklable object of every process, in the order of their ranks."""
    if world_size() == 1:
        return [value]
    values = [value] * world_size()
    dist.all_gather_object(values, value)
    return values


def share(tensors: Sequence[Tensor], owner: int, device: torch.device) -> list[Tensor]:
    """Give all processes the owner's tensors, on `device`; what the others pass is ignored.

    Args:
        tensors: of any shapes and dtypes.
        owner: rank of the process that has them.
        device: where they are wanted.
    """
    if world_size() == 1:
        return [tensor.to(device) for tensor in tensors]
    described = [[(tuple(t.shape), t.dtype) for t in tensors]]
    dist.broadcast_object_list(described, src=owner)
    shared = []
    for place, (shape, dtype) in enumerate(described[0]):
        if rank() == owner:
            whole = tensors[place].to(group_device()).contiguous()
        else:
            whole = torch.empty(shape, dtype=dtype, device=group_device())
        if whole.numel():
            # As bytes: not every backend knows every dtype.
            dist.broadcast(_as_bytes(whole), src=owner)
        shared.append(whole.to(device))
    return shared


def collect(tensor: Tensor) -> list[Tensor]:
    """Every process's tensor, on the CPU of the main one; an empty list on the others.

    Shapes may differ from process to process.
    """
    if world_size() == 1:
        return [tensor.cpu()]
    shapes = gather_objects((tuple(tensor.shape), tensor.dtype))
    if rank() != 0:
        if tensor.numel():
            dist.send(_as_bytes(tensor.to(group_device())), dst=0)
        return []
    collected = [tensor.cpu()]
    for source, (shape, dtype) in enumerate(shapes[1:], start=1):
        received = torch.empty(shape, dtype=dtype, device=group_device())
        if received.numel():
            dist.recv(_as_bytes(received), src=source)
        collected.append(received.cpu())
    return collected


def collect_everywhere(tensor: Tensor) -> list[Tensor]:
    """Every process's tensor, all of one shape and dtype, on every process's CPU."""
    if world_size() == 1:
        return [tensor.cpu()]
    mine = tensor.to(group_device()).contiguous()
    parts = [torch.empty_like(mine) for _ in range(world_size())]
    dist.all_gather(parts, mine)
    return [part.cpu() for part in parts]


def _as_bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(-1).view(torch.uint8)


def sum_everywhere(tensor: Tensor) -> Tensor:
    """The sum of every process's tensor, all of one shape, on every process."""
    if world_size() == 1:
        return tensor
    total = tensor.to(group_device(), copy=True)
    dist.all_reduce(total)
    return total.to(tensor.device)
