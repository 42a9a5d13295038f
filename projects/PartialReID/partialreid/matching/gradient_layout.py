"""Gradients that come back in the memory format of the values that they belong to.

A convolution, a norm or a pooling whose values lie in channels_last memory format takes several
times as long where the gradient of its result comes in another one: it copies the gradient, or both
of its sides, and turns them round number by number. What lies between can have lost the format, as
a slice has, whose gradient begins with zeros in torch's plain one. Then one copy in the place where
the format is lost is cheaper than those of all the layers before.
"""

from __future__ import annotations

from torch import Tensor


def keep_gradient_layout(values: Tensor) -> Tensor:
    """Make the gradient of a tensor come with the strides of its values, in place.

    Args:
        values: of any shape, dense: one number for each place in memory.

    Returns:
        The tensor itself.
    """
    if not values.requires_grad:
        return values
    shape, stride = values.shape, values.stride()

    def laid_out(gradient: Tensor) -> Tensor:
        if gradient.stride() == stride:
            return gradient
        like = gradient.new_empty_strided(shape, stride)
        return like.copy_(gradient)

    values.register_hook(laid_out)
    return values
