"""Weights in two bytes each, eight times as near to what they were as in float16.

A float16 spends five of its bits on an exponent. The weights of one output channel are of similar
size, so that they share one scale, and the 16 bits are left for a whole number each. Of a
MobileNetV2 that was trained here the columns move by 0.00008 of their length, in float16 by
0.00064 (`python -m benchmarks.two_bytes`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

# Behind the name of a tensor, that of its scales. No module has a parameter in a parameter.
SCALE = ".scale"
LARGEST = torch.iinfo(torch.int16).max


def packed(name: str, value: Tensor) -> dict[str, Tensor]:
    """A tensor as whole numbers and their scales, by their names.

    Args:
        name: of the tensor.
        value: (O, ...) floating point, finite. O output channels have a scale each; a tensor of
            one axis has one.

    Returns:
        `name`: (O, ...) int16, and `name`.scale: (O, 1, ...) float32. Their product is within half
        a scale of the value, which is 1/65534 of the largest weight of the channel.
    """
    exact = value.detach().double()
    largest = exact.abs().amax(tuple(range(1, exact.dim())), keepdim=True)
    # Where all is zero any scale will do, but for zero, which nothing can be divided by.
    scale = torch.where(largest == 0, 1.0, largest / LARGEST).float()
    return {name: (exact / scale).round().short(), name + SCALE: scale}


def unpacked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by their names, with those that are `packed` in float32 again.

    Float16, as files of format 1 have it, becomes float32, too.

    Raises:
        ValueError: whole numbers without their scales.
    """
    whole = {name for name, value in state.items() if value.dtype == torch.int16}
    if lost := sorted(name for name in whole if name + SCALE not in state):
        raise ValueError(f"{lost[0]} is of whole numbers, and the scales of them are not there")
    scales = {name + SCALE for name in whole}
    return {
        name: value * state[name + SCALE] if name in whole else _not_float16(value)
        for name, value in state.items()
        if name not in scales
    }


def _not_float16(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value
