#!/usr/bin/env python3
"""What should `make gpu` find on an H100? Predicted from its data sheet, not measured.

Arithmetic at half of the 67 TFLOP/s that an H100 SXM has in float32 without tensor cores (the exact
distance forbids TF32), and what the cost model of `TEST.DSR.SHORTLIST auto` counts besides: see
`partialreid/matching/search_cost.py`. `make gpu` writes these beside what it finds.

    python -m benchmarks.gpu_prediction
"""

from __future__ import annotations

from benchmarks.bench import no_options
from benchmarks.distances import SHAPES
from benchmarks.made_up_evaluation import MARKET
from partialreid.matching.coarse import DIMENSIONS
from partialreid.matching.search_cost import GPU, Work, all_pairs_are_faster, predicted_seconds
from partialreid.matching.shortlists import TOPK

FLOAT16 = 2  # bytes, as the evaluation stores columns


def predicted() -> dict[str, float]:
    """Numbers by what they say, in the units named there."""
    found = {}
    for name, (channels, columns) in SHAPES.items():
        found[f"distances, {name}: microseconds a pair"] = (
            channels * columns**2 / GPU.products * 1e6
        )
    size = (MARKET.channels, MARKET.columns, MARKET.columns, DIMENSIONS)
    market = Work(MARKET.queries, MARKET.galleries, TOPK, *size)
    every, listed = predicted_seconds(market, GPU)
    found["evaluation, coarse: seconds of matching"] = listed
    found["evaluation, none: seconds of matching"] = every
    images = MARKET.queries + MARKET.galleries
    found["evaluation: GB of columns on the device"] = (
        images * MARKET.channels * MARKET.columns * FLOAT16 / 1e9
    )
    found["shortlists: images up to which all pairs are faster, as many queries"] = max(
        images
        for images in range(TOPK + 1, 10_000)
        if all_pairs_are_faster(Work(images, images, TOPK, *size), on_cpu=False)
    )
    return found


def table() -> str:
    """The predictions with an empty column for what is measured, as docs/gpu.md has them."""
    rows = [f"| {part} | {value:,.4g} | |" for part, value in predicted().items()]
    return "\n".join(["| part | predicted | measured |", "|---|---|---|", *rows])


def main() -> None:
    print(table())


if __name__ == "__main__":
    no_options(__doc__)
    main()
