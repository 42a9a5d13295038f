"""The fit of a coarse space to a sample of the gallery, on one process or on several together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .coarse import BLOCK, CoarseSpace, principal_directions, second_moment
from .columns import Columns, NotFiniteError
from .precision import full_precision


def _same(tensor: Tensor) -> Tensor:
    return tensor


@torch.no_grad()
def fitted_space(
    columns: Columns,
    chosen: Sequence[int],
    like: Tensor,
    dimensions: int,
    kappa: float,
    *,
    images: int,
    summed: Callable[[Tensor], Tensor] = _same,
    agreed: Callable[[Tensor], Tensor] = _same,
) -> CoarseSpace:
    """The directions in which columns of a sample differ, and the mean of its images there.

    Args:
        columns: (C, M_g) of the gallery images of this process.
        chosen: which of them are in the sample; may be none.
        like: (C,) of any values; space and sums are of its dtype, on its device.
        dimensions: d of the space; at most C is taken.
        kappa: ridge in it.
        images: of the sample of all processes, at least one.
        summed: the sum of a tensor over all processes.
        agreed: the tensor of one process for all, as directions are unique up to their signs only.

    Raises:
        NotFiniteError: a column of the sample holds an infinity or NaN.
    """
    moment = like.new_zeros(len(like), len(like), dtype=torch.float64)
    if chosen:
        moment += second_moment(columns, chosen)
    moment = summed(moment)
    if not moment.isfinite().all():
        raise NotFiniteError("gallery columns hold an infinity or NaN")
    basis = agreed(principal_directions(moment, dimensions, like.dtype))
    length = basis.shape[1] * (basis.shape[1] + 1) // 2
    space = CoarseSpace(basis, kappa, like.new_zeros(length))
    total = like.new_zeros(length, dtype=torch.float64)
    with full_precision(like.device):
        for start in range(0, len(chosen), BLOCK):
            total += space.packed(columns, chosen[start : start + BLOCK]).double().sum(0)
    return space._replace(mean=(summed(total) / images).to(like.dtype))
