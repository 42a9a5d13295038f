"""How many kernels an operation starts on a GPU: the least number, as CUDA's own code has it.

A launch takes the host some microseconds, whatever the kernel does. Where a block of images starts
some for every image, a GPU waits for the host.
"""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor

# They label a tensor anew, or read one number; their schema does not say so.
WITHOUT_A_KERNEL = ("aten::_unsafe_view", "aten::lift_fresh", "aten::_local_scalar_dense")
# Tensors that one kernel puts side by side (CAT_ARRAY_BATCH_SIZE in ATen/native/cuda/Shape.cu).
SIDE_BY_SIDE = 128


def launches_of(name: str, func: Any, args: Any, kwargs: dict[str, Any]) -> int:
    """Kernels that an operation on tensors of the device starts, at least.

    Args:
        name: of the operation.
        func: the operation.
        args, kwargs: its arguments.
    """
    if name in WITHOUT_A_KERNEL or name.startswith(("aten::empty", "aten::new_empty")):
        return 0
    if name in ("aten::cat", "aten::stack"):
        tensors = [tensor for tensor in args[0] if tensor.numel()]
        like = [*tensors, kwargs["out"]] if kwargs.get("out") is not None else tensors
        together = len({tensor.dtype for tensor in like}) < 2 and _are_contiguous(tensors)
        # Else each is copied to its place by itself.
        return -(-len(tensors) // SIDE_BY_SIDE) if together else len(tensors)
    into_nothing = name == "aten::copy_" and not args[0].numel()
    return 0 if into_nothing or _is_view(func) else 1


def _are_contiguous(tensors: list[Tensor]) -> bool:
    return all(tensor.is_contiguous() for tensor in tensors)


@functools.cache
def _is_view(func: Any) -> bool:
    """Whether all that comes back is memory of an argument, which stays as it is."""
    aliases = [returned.alias_info for returned in func._schema.returns]
    return bool(aliases) and all(alias is not None and not alias.is_write for alias in aliases)
