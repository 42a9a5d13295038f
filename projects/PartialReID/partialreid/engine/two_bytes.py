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
# No scale is smaller: below it float32 loses digits, and a weight would be more than `LARGEST` of
# them. Channels that a training has given up have weights of this size.
SMALLEST = torch.finfo(torch.float32).tiny


def packed(name: str, value: Tensor) -> dict[str, Tensor]:
    """A tensor as whole numbers and their scales, by their names.

    Args:
        name: of the tensor.
        value: (O, ...) floating point, finite. O output channels have a scale each; a tensor of
            one axis has one.

    Returns:
        `name`: (O, ...) int16, and `name`.scale: (O, 1, ...) float32. Their product is within half
        a scale of the value, which is 1/65534 of the largest weight of the channel, or `SMALLEST`
        where that is more.
    """
    exact = value.detach().double()
    largest = exact.abs().amax(tuple(range(1, exact.dim())), keepdim=True)
    scale = (largest / LARGEST).float().clamp_min(SMALLEST)
    return {name: (exact / scale).round().short(), name + SCALE: scale}


def unpacked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by their names, with those that are `packed` in float32 again.

    Float16, as files of format 1 have it, becomes float32, too.

    Raises:
        ValueError: whole numbers without their scales, or with those of another tensor.
    """
    whole = {name for name, value in state.items() if value.dtype == torch.int16}
    if lost := sorted(name for name in whole if name + SCALE not in state):
        raise ValueError(f"{lost[0]} is of whole numbers, and the scales of them are not there")
    if wrong := sorted(name for name in whole if not _fits(state[name], state[name + SCALE])):
        raise ValueError(f"{wrong[0]} is of whole numbers, and their scales are not its own")
    scales = {name + SCALE for name in whole}
    return {
        name: value * state[name + SCALE] if name in whole else _not_float16(value)
        for name, value in state.items()
        if name not in scales
    }


def _fits(numbers: Tensor, scale: Tensor) -> bool:
    """Whether scales are one for each output channel of a tensor."""
    channels = (numbers.shape[0], *[1] * (numbers.dim() - 1)) if numbers.dim() > 1 else (1,)
    return scale.dtype == torch.float32 and tuple(scale.shape) == channels


def _not_float16(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value
