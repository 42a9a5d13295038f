"""Autocast on the stand-in: which operations run in 16 bit and which in float32, as on CUDA.

PyTorch leaves this to the author of a device. The lists are those of
https://docs.pytorch.org/docs/stable/amp.html#cuda-op-specific-behavior, of them the operations that
others are made of: `linear` is `addmm` below, `conv2d` is `convolution`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

IN_16_BIT = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "convolution",
    "mm",
    "mv",
    "prelu",
]
# Each with all its overloads: pow.Tensor_Scalar and pow.Tensor_Tensor, sum.dim_IntList, ...
IN_FLOAT32 = [
    "_cdist_forward",
    "_log_softmax",
    "_softmax",
    "acos",
    "asin",
    "binary_cross_entropy_with_logits",
    "cosh",
    "cumprod",
    "cumsum",
    "dist",
    "erfinv",
    "exp",
    "expm1",
    "huber_loss",
    "linalg_vector_norm",
    "log",
    "log10",
    "log1p",
    "log2",
    "logsumexp",
    "mse_loss",
    "native_group_norm",
    "native_layer_norm",
    "nll_loss_forward",
    "norm",
    "pow",
    "prod",
    "reciprocal",
    "rsqrt",
    "sinh",
    "smooth_l1_loss",
    "softplus",
    "sum",
    "tan",
]

_libraries: list[torch.library.Library] = []


def register_autocast(device: str) -> None:
    """Make `torch.autocast(device)` cast; once in a process."""
    # Whatever is not in the lists runs in the dtypes that it gets.
    others = torch.library.Library("_", "IMPL")
    others.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    library = torch.library.Library("aten", "IMPL")
    _libraries.extend((others, library))  # kept: what a library registered goes when it goes
    for names, dtype_of in (
        (IN_16_BIT, lambda: torch.get_autocast_dtype(device)),
        (IN_FLOAT32, lambda: torch.float32),
    ):
        for name in names:
            packet = getattr(torch.ops.aten, name)
            for overload in packet.overloads():
                if overload.endswith("out"):
                    continue
                operation = getattr(packet, overload)
                full = name if overload == "default" else f"{name}.{overload}"
                library.impl(full, _casting(operation, dtype_of), "AutocastPrivateUse1")


def _casting(operation: Any, dtype_of: Callable[[], torch.dtype]) -> Callable[..., Any]:
    """The operation with its floating-point arguments cast, except float64 ones."""
    autocast = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def cast(leaf: Any) -> Any:
        castable = isinstance(leaf, Tensor) and leaf.is_floating_point()
        return leaf.to(dtype_of()) if castable and leaf.dtype != torch.float64 else leaf

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(autocast):
            return operation(*tree_map(cast, args), **tree_map(cast, kwargs))

    return run
