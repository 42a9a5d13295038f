"""Gradients keep the memory format of their values, and their numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from partialreid.matching.gradient_layout import keep_gradient_layout


def strides_of_gradient(values: Tensor, keep: bool) -> tuple[Tensor, tuple[int, ...]]:
    """The gradient of a weight, and the strides in which it came at the values."""
    weight = torch.full((3,), 2.0, dtype=values.dtype, requires_grad=True)
    made = values * weight[:, None, None]
    if keep:
        assert keep_gradient_layout(made) is made
    seen: list[tuple[int, ...]] = []
    made.register_hook(lambda gradient: seen.append(gradient.stride()))
    # A slice, whose gradient begins with zeros in the plain format.
    (made[:, :2].square().sum() + made[:, 1:].sum()).backward()
    assert weight.grad is not None
    return weight.grad, seen[0]


def test_it_comes_as_the_values_lie() -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    laid_out = values.contiguous(memory_format=torch.channels_last)
    wanted, plain = strides_of_gradient(laid_out, keep=False)
    assert plain == values.stride() != laid_out.stride()
    found, kept = strides_of_gradient(laid_out, keep=True)
    assert kept == laid_out.stride()
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    assert strides_of_gradient(values, keep=True)[1] == values.stride()


def test_of_values_without_a_gradient_nothing_is_asked() -> None:
    values = torch.ones(2, 3)
    assert keep_gradient_layout(values) is values
    with torch.no_grad():
        assert keep_gradient_layout(torch.ones(2, requires_grad=True) * 2) is not None
