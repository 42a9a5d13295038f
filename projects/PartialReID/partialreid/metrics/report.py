"""From distances to the metrics of a test set, by the protocol that TEST.DSR asks for.

Shapes: Q queries, G galleries.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypedDict

import numpy as np
from torch import Tensor

from .ranking import ArrayLike, Ids, query_metrics, query_scores, rank_metrics
from .single_shot import single_shot
from .uncertainty import bootstrap_intervals

Distance = Literal["global", "reconstruction", "fused"]
DISTANCES: tuple[Distance, ...] = ("global", "reconstruction", "fused")
METRICS = ("Rank-1", "Rank-5", "Rank-10", "mAP", "mINP")


# What an evaluation finds, as results.json holds it: docs/results_file.md says what each key means.
Report = TypedDict(
    "Report",
    {
        "global": dict[str, float],
        "reconstruction": dict[str, float],
        "fused": dict[str, float],
        "intervals": dict[Distance, dict[str, list[float]]],
        "single_shot": dict[Distance, dict[str, float | list[float]]],
        "lambda": float,
        "lambda_selection": str,
        "lambdas": list[float],
        "oracle": dict[str, float],
        "roc": dict[Distance, dict[str, float]],
        "shortlist": str,
        "keep_ratio_whole": float,
    },
    total=False,
)


class ProtocolSettings(Protocol):
    """The config node TEST.DSR, or anything with its keys that choose a protocol."""

    PROTOCOL: str
    PROTOCOL_SEED: int
    SINGLE_SHOT_ROUNDS: int
    BOOTSTRAP_ROUNDS: int


def summarize(distmat: ArrayLike, ids: Ids) -> dict[str, float]:
    """Rank-1, Rank-5, Rank-10, mAP and mINP of a distance matrix, in per cent.

    Args:
        distmat: (Q, G).
        ids: query and gallery identities, query and gallery cameras.
    """
    return with_intervals(distmat, ids, seed=0, rounds=0)[0]


def with_intervals(
    distmat: ArrayLike, ids: Ids, seed: int, rounds: int
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The metrics of `summarize`, and their 95 % intervals over identities (none for 0 rounds)."""
    scores = query_scores(distmat, *ids)
    per_query = query_metrics(scores)
    metrics = {name: float(np.mean(per_query[name])) for name in METRICS}
    if not rounds:
        return metrics, {}
    q_pids = np.asarray(ids[0])[scores.queries]
    return metrics, bootstrap_intervals(per_query, q_pids, seed, rounds)


def report_of(distances: dict[Distance, Tensor], ids: Ids, settings: ProtocolSettings) -> Report:
    """Metrics of each distance by the protocol of TEST.DSR.PROTOCOL, with their uncertainty.

    Returns:
        For each distance its metrics in per cent; under `intervals` their 95 % intervals (full
        gallery), or under `single_shot` mean and standard deviation over the rounds.
    """
    report: Report = {}
    intervals: dict[Distance, dict[str, list[float]]] = {}
    shots: dict[Distance, dict[str, float | list[float]]] = {}
    seed = settings.PROTOCOL_SEED
    for name, distance in distances.items():
        if settings.PROTOCOL == "full":
            metrics, spread = with_intervals(distance, ids, seed, settings.BOOTSTRAP_ROUNDS)
            report[name] = metrics
            intervals[name] = {k: list(v) for k, v in spread.items()}
        else:
            shot = single_shot(distance, *ids, seed=seed, rounds=settings.SINGLE_SHOT_ROUNDS)
            report[name] = {metric: mean for metric, (mean, _) in shot.metrics.items()}
            shots[name] = {
                **{metric: list(spread) for metric, spread in shot.metrics.items()},
                "gallery": shot.gallery,
                "queries_left_out": shot.dropped,
            }
    if intervals:
        report["intervals"] = intervals
    if shots:
        report["single_shot"] = shots
    return report


def cmc_curve(
    distmat: ArrayLike, ids: Ids, settings: ProtocolSettings, max_rank: int
) -> list[float]:
    """The CMC curve of a distance matrix by the protocol of TEST.DSR.PROTOCOL.

    Args:
        distmat: (Q, G).
        ids: query and gallery identities, query and gallery cameras.
        settings: the config node TEST.DSR.
        max_rank: its length.

    Returns:
        Fractions of the queries: the first is Rank-1. Under single-shot the mean over the rounds,
        whose galleries are much smaller than the whole one.
    """
    if settings.PROTOCOL == "full":
        return [float(x) for x in rank_metrics(distmat, *ids, max_rank=max_rank).cmc]
    seed, rounds = settings.PROTOCOL_SEED, settings.SINGLE_SHOT_ROUNDS
    return list(single_shot(distmat, *ids, seed, rounds, max_rank).cmc)
