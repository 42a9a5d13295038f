"""Which tensors of a state dict hold NaN or infinite numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def not_finite(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors of a state dict that hold NaN or an infinity.

    The host waits once for a GPU.
    """
    named = {name: value for name, value in state.items() if value.is_floating_point()}
    if not named:
        return []
    finite = torch.stack([value.isfinite().all() for value in named.values()]).tolist()
    return [name for name, fine in zip(named, finite, strict=True) if not fine]


def name_first(names: list[str], total: int) -> str:
    """How many tensors of how many, and which is the first."""
    return f"{len(names)} of {total} tensors, the first of which is {names[0]}"
