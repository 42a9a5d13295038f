#!/usr/bin/env python3
"""How long does a whole evaluation take at Occluded-REID's size: distances, then 101 lambdas?

Ours is run as it is. The original's loop and FastReID's ranking would take minutes: part of each is
run and scaled by the number of pairs and of lambdas, which is what their loops are over.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.bench import no_options, peak_gigabytes, report
from benchmarks.original_loop import original_loop
from partialreid.dsr_distance import compute_dsr_dist
from partialreid.matching.shortlists import nearest
from partialreid.metrics.fusion import lambda_grid
from partialreid.metrics.lambda_sweep import lambda_sweep
from tests.reconstruction_oracle import features, weights_of

IMAGES, CHANNELS, COLUMNS, TOPK = 1000, 2048, 110, 100
LOOPED_QUERIES, RANKED_LAMBDAS = 10, 3
LAMBDAS = lambda_grid(0.01)


def seconds(function) -> tuple[float, object]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main() -> None:
    from fastreid.evaluation.rank import evaluate_rank

    query, gallery = (features(seed, IMAGES, CHANNELS, COLUMNS) for seed in (1, 2))
    weights = weights_of(3, IMAGES, COLUMNS)
    near = torch.rand(IMAGES, IMAGES, generator=torch.Generator().manual_seed(4))
    pids = np.arange(IMAGES) // 5
    ids = pids, pids, np.zeros(IMAGES, int), np.ones(IMAGES, int)

    ours_distances, matched = seconds(
        lambda: compute_dsr_dist(query, gallery, near, weights, topk=TOPK)
    )
    ours_sweep, _ = seconds(lambda: lambda_sweep(near, matched, *ids, lambdas=LAMBDAS))

    some = slice(0, LOOPED_QUERIES)
    shortlist = nearest(near, TOPK)[some]
    loop, looped = seconds(lambda: original_loop(query[some], gallery, weights[some], shortlist))
    difference = float((looped - matched[some].gather(1, shortlist)).abs().max())
    loop *= IMAGES / LOOPED_QUERIES
    mixed = [((1 - lam) * near + lam * matched).numpy() for lam in LAMBDAS[:RANKED_LAMBDAS]]
    sweep, _ = seconds(lambda: [evaluate_rank(d, *ids, use_cython=False) for d in mixed])
    sweep *= len(LAMBDAS) / RANKED_LAMBDAS

    rows = [
        {"part": name, "original, scaled, s": theirs, "ours, s": own, "times": theirs / own}
        for name, theirs, own in (
            ("distances", loop, ours_distances),
            ("sweep of lambda", sweep, ours_sweep),
            ("both", loop + sweep, ours_distances + ours_sweep),
        )
    ]
    report(
        "evaluation",
        f"{IMAGES} x {IMAGES} images, {CHANNELS} channels, {COLUMNS} columns, top {TOPK}",
        rows,
        largest_difference_to_loop=difference,
        peak_memory_gb=round(peak_gigabytes(), 2),
    )


if __name__ == "__main__":
    no_options(__doc__)
    main()
