#!/usr/bin/env python3
"""How long does ranking take, and a sweep of lambda, at Occluded-REID's size?

FastReID's Python evaluation, which the original calls once for each lambda, and ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.bench import no_options, report, time_in_turn
from partialreid.metrics.fusion import lambda_grid
from partialreid.metrics.lambda_sweep import lambda_sweep
from partialreid.metrics.ranking import rank_metrics

IMAGES, IDENTITIES = 1000, 200
SWEEP = "ours, 101 values of lambda"
LAMBDAS = lambda_grid(0.01)


def case() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Two distance matrices, and identities and cameras of five images for each person."""
    rng = np.random.default_rng(0)
    pids = np.arange(IMAGES) % IDENTITIES
    same = pids[:, None] == pids
    near, matched = (
        (rng.random((IMAGES, IMAGES)) - 0.3 * same).astype(np.float32) for _ in range(2)
    )
    return near, matched, [pids, pids, np.zeros(IMAGES, int), np.ones(IMAGES, int)]


def by_one_thread(function: Callable[[], Any]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        function()
    finally:
        torch.set_num_threads(threads)


def main() -> None:
    from fastreid.evaluation.rank import evaluate_rank

    near, matched, ids = case()
    theirs = evaluate_rank(near, *ids, use_cython=False)
    ours = rank_metrics(near, *ids)
    equal = all(np.array_equal(a, b) for a, b in zip(theirs, ours, strict=True))
    times = time_in_turn(
        {
            "FastReID, one distance": lambda: evaluate_rank(near, *ids, use_cython=False),
            "ours, one distance": lambda: rank_metrics(near, *ids),
            SWEEP: lambda: lambda_sweep(near, matched, *ids, lambdas=LAMBDAS),
            f"{SWEEP}, one thread": lambda: by_one_thread(
                lambda: lambda_sweep(near, matched, *ids, lambdas=LAMBDAS)
            ),
        },
        rounds=5,
    )
    whole = times["FastReID, one distance"]["median"] * len(LAMBDAS)
    rows = [{"computation": name, **seconds} for name, seconds in times.items()]
    rows.append({"computation": "FastReID, 101 values, from one", "median": whole})
    report("ranking", f"{IMAGES} queries, {IMAGES} galleries, seconds", rows, equal=equal)


if __name__ == "__main__":
    no_options(__doc__)
    main()
