"""The rough distance by products of integers: of a few leading numbers, or of all of them.

Shapes: Q queries, G galleries, d dimensions of the coarse space, L = d (d + 1) / 2 numbers of a
code, P of them leading.

A processor multiplies bytes several times as fast as floating-point numbers, and reads a quarter of
the bytes. The gallery's side consists of bytes; the query's must become bytes as well. One byte is
enough to say which images are worth a second look, two of them, high and low, put these into order.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .coarse import CoarseSpace

LEADING = 384  # numbers of a code: what they leave out is a fifth of what tells images apart
# Of a byte of a query. Processors without instructions for such products add pairs of them in 16
# bits, which twice 255 * 63 does not overflow.
QUERY_LEVELS = 63
LOW_STEPS = 2 * QUERY_LEVELS  # of the low byte in a step of the high one


class QueryBytes(NamedTuple):
    """Vectors of queries as integers of 8 bits, each query in a unit of its own.

    Attributes:
        high: (Q, L), rounded.
        low: (Q, L), what rounding left, in finer steps.
    """

    high: Tensor
    low: Tensor


def leading_numbers(space: CoarseSpace, count: int = LEADING) -> tuple[Tensor, Tensor]:
    """Places of the `count` numbers of a code that count most, and of all others, ascending.

    They are those of two directions which both explain much of the gallery: there the vectors of
    queries have their large numbers.
    """
    size = space.basis.shape[1]
    rows, cols = torch.triu_indices(size, size, device=space.mean.device)
    explained = space.mean[rows == cols]
    order = (explained[rows] * explained[cols]).argsort(descending=True, stable=True)
    return order[:count].sort().values, order[count:].sort().values


def query_bytes(vectors: Tensor) -> QueryBytes:
    """Vectors (Q, L) as integers of 8 bits."""
    largest = vectors.abs().amax(1, keepdim=True).clamp(min=torch.finfo(vectors.dtype).tiny)
    steps = vectors * (QUERY_LEVELS / largest)
    high = steps.round()
    low = ((steps - high) * LOW_STEPS).round()
    return QueryBytes(high.to(torch.int8), low.to(torch.int8))


def integer_product(some: Tensor, levels: Tensor) -> Tensor:
    """The exact product (Q, G) in 32 bits of bytes (Q, L) and (G, L); on the CPU."""
    if some.shape[1] < 2:  # of which torch takes a column for a row
        return some.int() @ levels.int().T
    return torch._int_mm(some, levels.T)


def candidate_distances(high: Tensor, low: Tensor) -> Tensor:
    """Distances from products with both bytes of a query, in the unit of the query."""
    return -(high + low / LOW_STEPS)
