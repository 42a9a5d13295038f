"""All inner products of two batches of columns, with their gradients in as few passes as there are.

Shapes: Q queries, G galleries, C channels, N query columns, M gallery columns.

Of the plain products autograd adds up the gradient of the gallery from three arrays as large as the
gallery: one of the products with the queries, and two of the symmetric Gram matrices, which are one
product with a sum. Here each side gets its gradient in one array that the next product adds to.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from .exact_product import SavedPair
from .first_derivatives import first_derivatives_alone
from .precision import full_precision


class _InnerProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, query: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # (Q, N, C) and (G, M, C): no copy where the channels of a column lie side by side.
        query, gallery = query.mT.contiguous(), gallery.mT.contiguous()
        ctx.save_for_backward(query, gallery)
        with full_precision(query.device):
            cross = gallery.flatten(0, 1) @ query.flatten(0, 1).T
            gram = gallery @ gallery.mT
        squares = torch.linalg.vector_norm(query, dim=2, dtype=torch.float64).square()
        return cross.unflatten(0, gallery.shape[:2]), gram, squares

    @staticmethod
    @first_derivatives_alone
    def backward(
        ctx: SavedPair, of_cross: Tensor, of_gram: Tensor, of_squares: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        query, gallery = ctx.saved_tensors
        of_cross = of_cross.flatten(0, 1)
        of_query = of_gallery = None
        with full_precision(query.device):
            if ctx.needs_input_grad[0]:
                of_query = (of_cross.T @ gallery.flatten(0, 1)).view_as(query)
                of_query.addcmul_(query, 2 * of_squares.to(query.dtype)[..., None])
                of_query = of_query.mT
            if ctx.needs_input_grad[1]:
                of_gallery = (of_cross @ query.flatten(0, 1)).view_as(gallery)
                of_gallery = of_gallery.baddbmm_(of_gram + of_gram.mT, gallery).mT
        return of_query, of_gallery


def inner_products(query: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute G'Q of all pairs, G'G of each gallery image, and q'q of each query column.

    In full float32, without TF32, bfloat16 products or autocast, gradients included.

    Args:
        query: (Q, C, N) columns.
        gallery: (G, C, M) columns, of the same dtype, float32 or float64. Both are quickest where
            the channels of a column lie side by side in memory.

    Returns:
        (G, M, Q N) and (G, M, M) in that dtype, and (Q, N) in float64.

    Raises:
        RuntimeError: in a backward pass, where second derivatives are asked for.
    """
    products: tuple[Tensor, Tensor, Tensor] = _InnerProducts.apply(query, gallery)
    return products
