#!/usr/bin/env python3
"""What does the matching of a whole evaluation cost, against the bare product of the same pairs?

Made-up images, as many as Market-1501 has, go through the evaluator: the coarse space is fitted,
all images are searched, and each query is compared with the nearest by the exact distance. The bare
product of as many pairs is what the exact distance needs at least; an eighth of it is run before
the evaluation, an eighth behind it.

Shapes: C channels, N columns.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import torch

from benchmarks.bench import peak_gigabytes, report
from benchmarks.made_up_evaluation import MARKET, Sizes, config, evaluate

SHARE = 8  # of the pairs, this part is multiplied at a time
# Columns of so many gallery images lie side by side in a product, and so many queries.
BLOCK, QUERIES = 8, 100


def bare_seconds(pairs: int, sizes: Sizes) -> float:
    """Seconds of the matrix products C x N by C x N of so many pairs, and of nothing else."""
    left = torch.rand(BLOCK * sizes.columns, sizes.channels)
    right = torch.rand(sizes.channels, QUERIES * sizes.columns)
    product = left @ right
    times = max(1, pairs // (BLOCK * QUERIES))
    start = time.perf_counter()
    for _ in range(times):
        torch.mm(left, right, out=product)
    return (time.perf_counter() - start) * pairs / (times * BLOCK * QUERIES)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=int, default=1, help="1 of so many images (default: all)")
    share = parser.parse_args(arguments).share
    sizes = MARKET._replace(
        queries=MARKET.queries // share,
        galleries=MARKET.galleries // share,
        people=MARKET.people // share,
    )
    with tempfile.TemporaryDirectory() as folder:
        cfg = config("cpu", "OUTPUT_DIR", folder)
        pairs = sizes.queries * min(cfg.TEST.DSR.TOPK, sizes.galleries)
        bare = [bare_seconds(pairs // SHARE, sizes) * SHARE]
        _, results, seconds = evaluate(cfg, sizes)
        bare.append(bare_seconds(pairs // SHARE, sizes) * SHARE)
    matching, product = seconds["of it matching"], sum(bare) / 2
    rest = seconds["evaluation"] - matching
    rows = [
        {"part": name, "s": taken, "times bare product": taken / product}
        for name, taken in (
            ("bare product, before", bare[0]),
            ("bare product, behind", bare[1]),
            ("matching: space, search, exact distances", matching),
            ("rankings, sweep of lambda, intervals", rest),
        )
    ]
    report(
        "matching_stage",
        f"{sizes.queries} queries, {sizes.galleries} galleries, {pairs} pairs, "
        f"{sizes.channels} channels, {sizes.columns} columns in float16",
        rows,
        peak_memory_gb=round(peak_gigabytes(), 2),
        rank_1=results["Rank-1"],
    )


if __name__ == "__main__":
    main()
