"""Verification: FastReID's switch ROC.

Shapes: Q queries, G galleries.
"""

from __future__ import annotations

from collections.abc import Sequence

from .ranking import ArrayLike, as_array, checked_distances

# Which rates are reported, and under which names.
FALSE_RATES = (1e-4, 1e-3, 1e-2)


def roc(
    distmat: ArrayLike,
    q_pids: ArrayLike,
    g_pids: ArrayLike,
    q_camids: ArrayLike,
    g_camids: ArrayLike,
    rates: Sequence[float] = FALSE_RATES,
) -> dict[str, float]:
    """Verification: how many pairs of one person are accepted at a rate of false acceptance.

    All pairs but those of one identity and one camera count. FastReID's TEST.ROC prints
    TPR@FPR of the same pairs with the roles exchanged (a pair of two persons is its positive, so
    its FPR is the share of *true* pairs told apart wrongly); the names here differ as the
    numbers do.

    Args:
        distmat: (Q, G) distances; any distance, since each pair stands for itself.
        q_pids, g_pids, q_camids, g_camids: as in `ranking.rank_metrics`.
        rates: shares of the pairs of different persons that may be accepted, from 0 to below 1.

    Returns:
        `TAR@FAR=0.0001` and so on: share, in per cent, of the pairs of one person nearer than the
        threshold, the largest at which no more pairs of different persons are.

    Raises:
        ValueError: rates out of range, NaN, or no pair of one of the two kinds.
    """
    if not all(0 <= rate < 1 for rate in rates):
        raise ValueError(f"rates of false acceptance lie between 0 and 1, got {tuple(rates)}")
    q_pids, g_pids, q_camids, g_camids = ids = [
        as_array(x) for x in (q_pids, g_pids, q_camids, g_camids)
    ]
    distances = checked_distances(distmat, ids)
    same = q_pids[:, None] == g_pids
    true = distances[same & (q_camids[:, None] != g_camids)]
    false = distances[~same]
    if not len(true) or not len(false):
        raise ValueError(
            f"a ROC curve needs pairs of one person and of two, there are {len(true)} and "
            f"{len(false)}: set TEST.ROC.ENABLED to False"
        )
    # Rounding must not lose a pair: 0.01 * 100 is one.
    allowed = [min(int(rate * len(false) + 1e-9), len(false) - 1) for rate in rates]
    false.partition(sorted(set(allowed)))
    return {
        f"TAR@FAR={rate:g}": 100 * float((true < false[place]).mean())
        for rate, place in zip(rates, allowed)
    }
