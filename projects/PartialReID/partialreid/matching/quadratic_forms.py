"""Quadratic forms c'Sc of many columns c, with gradients, a few matrices at a time.

Shapes: G matrices, M rows of a column, P columns of each matrix.

Autograd keeps the columns in float64 and multiplies them by S once more to go back, though S c was
there on the way forwards: for a symmetric S the gradient of c'Sc is 2 S c. And each step of it goes
through all columns, which are more than a processor's cache holds.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from .exact_product import SavedPair
from .first_derivatives import first_derivatives_alone

# Bytes of the columns in float64 that are worked on at a time on a CPU: they stay in the cache of a
# core while they are converted, multiplied and summed. Elsewhere all go at once, as each step costs
# a launch.
CACHE = 2**20


def _parts(columns: Tensor) -> list[slice]:
    """Which matrices are worked on together."""
    count = len(columns)
    of_one = columns[:1].numel() * torch.finfo(torch.float64).bits // 8
    step = max(1, CACHE // max(1, of_one)) if columns.device.type == "cpu" else max(1, count)
    return [slice(start, start + step) for start in range(0, count, step)]


class _QuadraticForms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, columns: Tensor, matrices: Tensor) -> Tensor:
        # S c, which the backward pass wants, rounded as the columns are.
        products = torch.empty_like(columns)
        forms = matrices.new_empty(columns.shape[0], columns.shape[2])
        for part in _parts(columns):
            wide = columns[part].double()
            product = matrices[part] @ wide
            products[part] = product
            forms[part] = product.mul_(wide).sum(1)
        ctx.save_for_backward(columns, products)
        return forms

    @staticmethod
    @first_derivatives_alone
    def backward(ctx: SavedPair, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        columns, products = ctx.saved_tensors
        of_columns = of_matrices = None
        if ctx.needs_input_grad[0]:
            of_columns = products * (2 * gradient).to(products.dtype)[:, None]
        if ctx.needs_input_grad[1]:
            spans = columns.shape[1]
            of_matrices = gradient.new_empty(len(columns), spans, spans)
            for part in _parts(columns):
                wide = columns[part].double()
                of_matrices[part] = (wide * gradient[part, None]) @ wide.mT
        return of_columns, of_matrices


def quadratic_forms(columns: Tensor, matrices: Tensor) -> Tensor:
    """Compute c'Sc in float64, with a gradient for c and S.

    Args:
        columns: (G, M, P), in float32 or float64.
        matrices: (G, M, M) in float64, symmetric: the gradient of c counts on it.

    Returns:
        (G, P) in float64.

    Raises:
        RuntimeError: in a backward pass, where second derivatives are asked for.
    """
    forms: Tensor = _QuadraticForms.apply(columns, matrices)
    return forms
