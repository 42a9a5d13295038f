"""Full float32 in matrix products.

TensorFloat-32 keeps 10 bits of mantissa and bfloat16 seven. A residual is a difference of two
nearly equal squares, so either turns a reconstruction distance into noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """Values for the arithmetic: half formats in float32, float32 and float64 as they are."""
    return values if values.dtype == torch.float64 else values.float()


class _Backend(Protocol):
    fp32_precision: str


def _matmul_backends() -> list[_Backend]:
    """The backends with a float32 setting of their own (torch 2.9 and newer)."""
    backends = (torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, "matmul", None))
    return [cast("_Backend", backend) for backend in backends if hasattr(backend, "fp32_precision")]


@contextmanager
def full_precision(device: torch.device | str = "cpu") -> Iterator[None]:
    """Run the block without TF32, bfloat16 products or autocast, then restore every setting.

    Args:
        device: the device whose autocast is switched off; the float32 settings hold for all.
    """
    backends = _matmul_backends()
    saved = [backend.fp32_precision for backend in backends]
    # torch keeps a legacy setting beside those of the backends. Reading it fails where they
    # disagree; then it is not in use, and writing it would lose what it holds.
    try:
        legacy: str | None = torch.get_float32_matmul_precision()
    except RuntimeError:
        legacy = None
    try:
        if legacy is not None:
            torch.set_float32_matmul_precision("highest")
        for backend in backends:
            backend.fp32_precision = "ieee"
        with torch.autocast(torch.device(device).type, enabled=False):
            yield
    finally:
        if legacy is not None:
            torch.set_float32_matmul_precision(legacy)
        for backend, value in zip(backends, saved):
            backend.fp32_precision = value
