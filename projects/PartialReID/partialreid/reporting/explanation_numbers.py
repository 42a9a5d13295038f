"""The numbers of an explanation, such that those that are printed add up as well.

Shape shorthand: N query columns, R x S patches of the query, P of them in all, L of the gallery.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ..matching.explained import Explained
from ..matching.windows import Patches

DIGITS = 4
LINES = 12


def leanings(pairs: Sequence[Explained]) -> list[Tensor]:
    """What of each pair's shares speaks against it, above zero, or for it, below.

    Two pairs are compared with each other, column by column: w_n (r_n - r'_n), where r_n is left
    over in this pair and r'_n in the other. The sum is the difference of their distances. One pair
    is compared with the average of its own residuals, whose sum is zero.

    Args:
        pairs: one or two, of one query.

    Returns:
        (N,) for each.
    """
    if len(pairs) == 1:
        (pair,) = pairs
        return [pair.shares - pair.weights * (pair.shares.sum() / pair.weights.sum())]
    one, other = (pair.shares for pair in pairs)
    return [one - other, other - one]


def balance(
    leaning: Tensor, patches: Patches, distances: tuple[float, float]
) -> tuple[float, float]:
    """All that speaks against the first of two pairs, and all that speaks for it, by patches.

    Args:
        leaning: (N,) of the first pair.
        patches: of the query.
        distances: of both pairs. Both numbers are rounded so that, less each other, they are the
            difference of the rounded distances.
    """
    first, second = (round(distance, DIGITS) for distance in distances)
    against = float(patches.spread(leaning).clamp(min=0).sum())
    against = round(max(round(against, DIGITS), first - second, 0), DIGITS)
    return against, round(against - (first - second), DIGITS)


def rounded_parts(parts: Sequence[float], digits: int = DIGITS) -> list[float]:
    """Round numbers so that they add up to their rounded sum, each to a neighbour of its own.

    Those with the largest remainders are rounded up.
    """
    unit = 10**digits
    scaled = np.array(parts, dtype=float) * unit
    whole = np.floor(scaled)
    missing = round(round(sum(parts), digits) * unit - whole.sum())
    for place in np.argsort(whole - scaled, kind="stable")[:missing]:
        whole[place] += 1
    return [round(float(number) / unit, digits) for number in whole]


def bands(shares: np.ndarray, most: int) -> list[tuple[int, int, float]]:
    """Shares of the distance by stretches of rows of patches, from top to bottom.

    Args:
        shares: (R, S).
        most: there are no more stretches than this, from 1; all but the last are equally high.

    Returns:
        First row, the row behind the last, and share of each stretch, rounded as a part of all.
    """
    step = -(-len(shares) // most)
    starts = list(range(0, len(shares), step))
    parts = rounded_parts([float(shares[start : start + step].sum()) for start in starts])
    ends = [min(start + step, len(shares)) for start in starts]
    return list(zip(starts, ends, parts))


def strongest(links: np.ndarray, most: int = LINES) -> list[tuple[int, int, float]]:
    """The strongest link of each patch of the query, and of these the strongest.

    Args:
        links: (L, P).
        most: how many are wanted; fewer where fewer patches have a link at all.

    Returns:
        Patch of the query, patch of the gallery image and strength, the strongest first.
    """
    sources = links.argmax(0)
    strengths = links.max(0)
    order = np.argsort(-strengths, kind="stable")[:most]
    return [(int(p), int(sources[p]), float(strengths[p])) for p in order if strengths[p] > 0]


def by_patch(values: Tensor, patches: Patches) -> np.ndarray:
    """What belongs to columns (N,), spread over the patches (R, S)."""
    found: np.ndarray = patches.spread(values).cpu().numpy()
    return found
