#!/usr/bin/env python3
"""How do time and memory grow with the gallery? Measured from 1,000 to 20,000 images, and fitted.

Each stage is timed by itself: the global distance, the coarse index of the gallery, the coarse
search, the sort, and the exact distance to the 100 nearest; and the exact distance of one query to
images that no other asks for, as it is in a large gallery. The fit gives seconds for each image,
pair or shortlisted pair, with which docs/scale.md predicts larger galleries.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.bench import no_options, peak_gigabytes, report
from partialreid.evaluation.matchers import RidgeMatcher
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.column_store import ColumnStore
from partialreid.matching.extracted import Images
from partialreid.matching.shortlists import nearest
from tests.reconstruction_oracle import features, weights_of

SIZES = (1000, 2000, 5000, 10000, 20000)
QUERIES, TOPK, CHANNELS, COLUMNS, DIFFERENT = 200, 100, 1280, 70, 500
MEMORY_BYTES = 750e6
UNSHARED = 500  # images


def images(count: int, seed: int, folder: str) -> Images:
    """Unit columns in float16; beyond 500 images they repeat, with their channels shifted."""
    store = ColumnStore(MEMORY_BYTES, folder, "cpu")
    drawn = features(seed, min(count, DIFFERENT), CHANNELS, COLUMNS).half()
    for start in range(0, count, DIFFERENT):
        shifted = drawn.roll(7 * start // DIFFERENT, dims=1)
        store.append(shifted[: count - start])
    generator = torch.Generator().manual_seed(seed)
    vectors = F.normalize(torch.randn(count, CHANNELS, generator=generator), dim=1)
    return Images(vectors, store.part(0, count), list(weights_of(seed, count, COLUMNS)))


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def measure(galleries: int, folder: str) -> dict[str, float]:
    query, gallery = images(QUERIES, 1, folder), images(galleries, 2, folder)
    near_s, _ = seconds(lambda: 1 - query.features @ gallery.features.T)
    index_s, rough = seconds(lambda: build_coarse(gallery, 64, 0.3))
    search_s, found = seconds(lambda: rough(query))
    sort_s, shortlist = seconds(lambda: nearest(found, TOPK))
    asking = torch.arange(QUERIES).repeat_interleave(TOPK)
    pairs = torch.stack([asking, shortlist.flatten()], 1)
    matcher = RidgeMatcher(memory_bytes=int(MEMORY_BYTES / 3))
    exact_s, _ = seconds(lambda: matcher.pairs(query, gallery, pairs))
    alone = torch.stack([torch.zeros(UNSHARED, dtype=torch.long), torch.arange(UNSHARED)], 1)
    alone_s, _ = seconds(lambda: matcher.pairs(query, gallery, alone))
    return {
        "galleries": galleries,
        "shortlisted images": len(shortlist.unique()),
        "global, s": near_s,
        "index, s": index_s,
        "search, s": search_s,
        "sort, s": sort_s,
        "exact, s": exact_s,
        "unshared, s": alone_s,
        "peak memory, GB": round(peak_gigabytes(), 2),
    }


def fit(rows: list[dict[str, float]]) -> dict[str, float]:
    """Least squares of each stage's time in what it is proportional to."""

    def column(name: str) -> np.ndarray:
        return np.array([row[name] for row in rows])

    sizes = column("galleries")
    ones = np.ones(len(rows))
    fitted: dict[str, float] = {}
    for name, parts in {
        "index, s": {"index, fixed s": ones, "index, s per gallery image": sizes},
        "search, s": {"search, fixed s": ones, "search, s per pair": QUERIES * sizes},
        "sort, s": {"sort, s per pair": QUERIES * sizes},
        "global, s": {"global, fixed s": ones, "global, s per pair": QUERIES * sizes},
        "exact, s": {"exact, s per shortlisted pair": QUERIES * TOPK * ones},
        "unshared, s": {"exact, s per unshared image": UNSHARED * ones},
    }.items():
        matrix = np.stack(list(parts.values()), 1)
        values, *_ = np.linalg.lstsq(matrix, column(name), rcond=None)
        fitted.update({key: float(value) for key, value in zip(parts, values, strict=True)})
        residual = np.abs(matrix @ values - column(name)) / column(name)
        fitted[f"{name[:-3]}, largest relative error"] = float(residual.max())
    return fitted


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        measure(min(SIZES), folder)  # to warm up
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(size, folder))
        print(rows[-1], flush=True)
    shapes = f"{QUERIES} queries, top {TOPK}, {CHANNELS} channels, {COLUMNS} columns in float16"
    report("scale", shapes, rows, fitted=fit(rows))


if __name__ == "__main__":
    no_options(__doc__)
    main()
