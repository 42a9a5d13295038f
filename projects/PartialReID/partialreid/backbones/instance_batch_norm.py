"""Instance norm on half of the channels and batch norm on the rest, without taking them apart.

IBN-a (Pan et al. 2018) splits a map by its channels, normalises each half and joins them. In
channels_last memory format, which a CPU computes in, both steps copy the map in small pieces, and
instance norm has a backward pass ten times as long as that of batch norm. But both norms are one
scale and one shift for each image and channel: batch norm's are the same for all images. So each
image is read once for its sums and once to be scaled, while it is in the cache.

Shape shorthand: B batch, C channels, H x W map, R rows of channels (H times W).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from fastreid.layers import IBN
from torch import Tensor
from torch.autograd.function import once_differentiable

# Numbers that are worked on at once on a CPU: about what its cache holds in float32.
CACHED = 2**19


class InstanceBatchNorm(IBN):
    """FastReID's IBN with plain batch norm in it, computed as the module's docstring says."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a map (B, C, H, W), in its dtype."""
        if torch.compiler.is_compiling():
            # The loop over parts of a batch would be written down for the batch that it is traced
            # with.
            return super().forward(x)
        weight = torch.cat([self.IN.weight, self.BN.weight])
        bias = torch.cat([self.IN.bias, self.BN.bias])
        if not self.BN.training:
            return self._by_running_statistics(x, weight, bias)
        y, mean, variance = _Normalise.apply(x, weight, bias, self.half, self.BN.eps)
        with torch.no_grad():
            rows = x.numel() // x.shape[1]
            rate = self.BN.momentum
            self.BN.num_batches_tracked += 1
            self.BN.running_mean.lerp_(mean, rate)
            self.BN.running_var.lerp_(variance * rows / max(rows - 1, 1), rate)
        found: Tensor = y
        return found

    def _by_running_statistics(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        mean, variance = _moments(x)
        mean = _joined(mean[:, : self.half], self.BN.running_mean)
        variance = _joined(variance[:, : self.half], self.BN.running_var)
        scale = (variance + self.BN.eps).rsqrt() * weight
        return _scaled(x, mean, scale, bias)


def _joined(own: Tensor, shared: Tensor) -> Tensor:
    """Numbers of each image (B, C1) beside those that are the same for all (C2,): (B, C1 + C2)."""
    return torch.cat([own, shared.expand(len(own), -1)], 1)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, half: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = _moments(x)
        # Those of the batch: the variance within images and that between their means.
        pooled = mean[:, half:].mean(0)
        spread = variance[:, half:].mean(0) + (mean[:, half:] - pooled).square().mean(0)
        mean[:, half:], variance[:, half:] = pooled, spread
        inverse = (variance + eps).rsqrt()
        scale = inverse * weight
        ctx.save_for_backward(x, mean, inverse, weight)
        ctx.half = half
        ctx.mark_non_differentiable(pooled, spread)
        return _scaled(x, mean, scale, bias), pooled, spread

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> Any:
        x, mean, inverse, weight = ctx.saved_tensors
        half = ctx.half
        g, total, product = _rows(gradient), torch.empty_like(mean), torch.empty_like(mean)
        # Sums of the gradient, and of the gradient times the normalised map.
        for part, some in _parts(x):
            of_some = g[part].to(mean.dtype)
            total[part] = of_some.sum(1)
            product[part] = (of_some * (some - mean[part, None])).sum(1)
        product = product * inverse
        of_weight, of_bias = product.sum(0), total.sum(0)
        rows = x.shape[2] * x.shape[3]
        shared = [product / rows, total / rows]
        for sums in shared:
            sums[:, half:] = sums[:, half:].mean(0)
        scale = inverse * weight
        slope = -scale * inverse * shared[0]
        offset = -scale * shared[1]
        out = _like(x)
        to = _rows(out)
        for part, some in _parts(x):
            centred = some - mean[part, None]
            value = torch.addcmul(offset[part, None], centred, slope[part, None])
            to[part] = value.addcmul_(g[part].to(value.dtype), scale[part, None])
        return out, of_weight, of_bias, None, None


def _rows(x: Tensor) -> Tensor:
    """(B, R, C) of a map; a view of it in both of torch's memory formats."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _like(x: Tensor) -> Tensor:
    """An empty map in one of the two memory formats, so that its rows are a view of it."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    kept = torch.channels_last if last else torch.contiguous_format
    return torch.empty_like(x, memory_format=kept)


def _parts(x: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Which images, and their rows in at least float32: on a CPU some at once, elsewhere all."""
    rows = _rows(x)
    count = len(x) if x.device.type != "cpu" else max(1, CACHED // max(x[0].numel(), 1))
    for start in range(0, len(x), count):
        part = slice(start, start + count)
        some = rows[part]
        yield part, some if some.dtype == torch.float64 else some.float()


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each image and channel (B, C), in at least float32."""
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    mean = torch.empty(x.shape[:2], dtype=kind, device=x.device)
    variance = torch.empty_like(mean)
    for part, some in _parts(x):
        mean[part] = some.mean(1)
        # Not the mean square less the squared mean: a channel's mean can be hundreds of times as
        # large as what it varies by, which would then be rounding.
        variance[part] = (some - mean[part, None]).square().mean(1)
    return mean, variance


def _scaled(x: Tensor, mean: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """(x - mean) * scale + bias with means and scales (B, C), in dtype and memory format of x."""
    out = _like(x)
    to = _rows(out)
    for part, some in _parts(x):
        to[part] = (some - mean[part, None]).mul_(scale[part, None]).add_(bias)
    return out
