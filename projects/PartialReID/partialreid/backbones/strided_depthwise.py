"""Depthwise convolutions of stride 2 whose backward pass in bfloat16 takes no longer than needed.

On a CPU oneDNN has a fast backward pass in bfloat16 for stride 1 alone: with stride 2 it takes
three to forty times as long. The same outputs, and gradients, come from a convolution of stride 1
of which every second row and column is kept.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class StridedDepthwise(nn.Conv2d):
    """A convolution, one filter a channel, at stride 2; its parameters are those of nn.Conv2d."""

    def forward(self, x: Tensor) -> Tensor:
        """The map (B, C, H, W) at half its size."""
        if not _slow(x):
            return super().forward(x)
        whole = F.conv2d(x, self.weight, self.bias, 1, self.padding, self.dilation, self.groups)
        found: Tensor = _EverySecond.apply(whole, self.stride)
        return found


class _EverySecond(torch.autograd.Function):
    """Rows and columns that a stride keeps. Map and gradient stay in channels_last memory format:
    torch's own gradient of a slice is not, and to copy it back took longer than the convolution."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, stride: tuple[int, int]) -> Tensor:
        ctx.shape, ctx.stride = whole.shape, stride
        return whole[:, :, :: stride[0], :: stride[1]].contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        whole = torch.empty(
            ctx.shape,
            dtype=gradient.dtype,
            device=gradient.device,
            memory_format=torch.channels_last,
        ).zero_()
        whole[:, :, :: ctx.stride[0], :: ctx.stride[1]] = gradient
        return whole, None


def _slow(x: Tensor) -> bool:
    """Whether a gradient will be asked for in bfloat16 on a CPU."""
    if x.device.type != "cpu" or not torch.is_grad_enabled():
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.dtype == torch.bfloat16


def use_strided_depthwise(model: nn.Module) -> None:
    """Make depthwise convolutions of stride above 1 of a network `StridedDepthwise`, in place."""
    for layer in model.modules():
        if type(layer) is not nn.Conv2d or layer.padding_mode != "zeros":
            continue
        if layer.groups == layer.in_channels and max(layer.stride) > 1:
            layer.__class__ = StridedDepthwise
