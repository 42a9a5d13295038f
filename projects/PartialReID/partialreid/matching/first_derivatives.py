"""Backward passes that are written by hand, and that nothing can be derived from once more.

torch's `once_differentiable` refuses a second derivative only where the gradient that comes in
needs one itself. Where it is a constant, as that of a sum is, what comes out counts as a constant,
too, and the second derivative lacks a part without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor


def first_derivatives_alone(
    backward: Callable[..., tuple[Tensor | None, Tensor | None]],
) -> Callable[..., tuple[Tensor | None, Tensor | None]]:
    """Wrap a `backward` of an autograd function, so that it refuses `create_graph=True`.

    Raises:
        RuntimeError: by the wrapped function, where the backward pass is to be derived from.
    """

    @wraps(backward)
    def checked(ctx: object, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        # The backward pass runs with gradients on where a graph is made of it, and only there.
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the reconstruction distance of all pairs has no second derivatives: take "
                "gradients without create_graph, or use differentiable_distance."
            )
        return backward(ctx, *gradients)

    return checked
