"""A matrix product in full float32, forwards and backwards.

Around a plain product `full_precision` guards the forward pass alone: autograd computes the two
products of the backward pass later, under whatever settings hold then.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from .precision import full_precision


class SavedPair(FunctionCtx):
    """What a function of two tensors that saved two finds on the way back."""

    saved_tensors: tuple[Tensor, Tensor]
    needs_input_grad: tuple[bool, bool]


class _ExactProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        with full_precision(left.device):
            return left @ right

    @staticmethod
    def backward(ctx: SavedPair, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        left, right = ctx.saved_tensors
        of_left = of_right = None
        # Products of this kind again, so that second derivatives exist and are exact too.
        if ctx.needs_input_grad[0]:
            of_left = exact_product(gradient, right.mT).sum_to_size(left.shape)
        if ctx.needs_input_grad[1]:
            of_right = exact_product(left.mT, gradient).sum_to_size(right.shape)
        return of_left, of_right


def exact_product(left: Tensor, right: Tensor) -> Tensor:
    """Compute `left @ right` without TF32, bfloat16 products or autocast, gradients included.

    Args:
        left: (..., I, J).
        right: (..., J, K), of the same dtype; leading dimensions are broadcast.

    Returns:
        (..., I, K) in that dtype.
    """
    product: Tensor = _ExactProduct.apply(left, right)
    return product
