"""Is it faster to reconstruct all pairs, or to look for the nearest and reconstruct those?

The rough search has its price before the first pair: the directions of its space, and an index of
the gallery. And a pair of a shortlist costs more than one of a block; on a GPU each of its products
is started by itself, while the device would have multiplied hundreds of pairs.

Nothing is timed: what is chosen for images of some number and size on a kind of device is always
the same, as a result that depends on it must be.

Shapes: Q queries, G galleries, K shortlisted of each query, C channels, N query columns, M gallery
columns, d dimensions of the coarse space.
"""

from __future__ import annotations

from typing import NamedTuple

from .coarse_shortlist import SAMPLE


class Rates(NamedTuple):
    """What a kind of device does; ratios of these alone matter.

    Attributes:
        products: multiplications a second, in large products of float32.
        listed: how many pairs of a block take the time of one in a shortlist.
        image: seconds to look up and start what one shortlisted gallery image needs.
        small: multiplications a second in small matrices, of which the coarse index is made.
        eigenvectors: cubed channels a second, for the directions of the coarse space in float64.
    """

    products: float
    listed: float
    image: float
    small: float
    eigenvectors: float


# As measured on two cores: benchmarks/README.md, `shortlists`.
CPU = Rates(products=57e9, listed=1.5, image=0.0, small=2.6e9, eigenvectors=4e9)
# Predicted: half of the data sheet of an H100 in float32, and what launches take: docs/gpu.md.
GPU = Rates(products=17e12, listed=1.0, image=70e-6, small=40e9, eigenvectors=7e9)


class Work(NamedTuple):
    """How much is to be matched; see the shapes of this module."""

    queries: int
    galleries: int
    topk: int
    channels: int
    query_columns: int
    gallery_columns: int
    dimensions: int


def all_pairs_are_faster(work: Work, on_cpu: bool) -> bool:
    """Whether all pairs take less time than the coarse search and the pairs that it finds.

    Args:
        work: of all processes together.
        on_cpu: else on a GPU.
    """
    every, listed = predicted_seconds(work, CPU if on_cpu else GPU)
    return every <= listed


def predicted_seconds(work: Work, rates: Rates) -> tuple[float, float]:
    """Seconds for all pairs, and for the coarse search with the pairs that it finds."""
    queries, galleries, topk, channels, query_columns, columns, dimensions = work
    pair = channels * query_columns * columns / rates.products
    # The Gram matrix and the projector; two factors and a solution in float64.
    factor = 3 * channels * columns**2 / rates.products + 1.6 * columns**3 / rates.small
    every = galleries * factor + queries * galleries * pair

    topk = min(topk, galleries)
    asked = min(galleries, queries * topk)
    exact = asked * (factor + rates.image) + queries * topk * pair * rates.listed
    sampled = min(galleries, SAMPLE) * columns * channels**2 / rates.products
    space = sampled + channels**3 / rates.eigenvectors
    # Of a query as of a gallery image: projected columns, and the matrix that is made of them.
    indexed = channels * columns * dimensions / rates.products + 3 * dimensions**3 / rates.small
    # The product of what the index holds, twice, as the sort takes about as long.
    compared = queries * galleries * dimensions**2 / rates.products
    return every, space + (queries + galleries) * indexed + compared + exact
