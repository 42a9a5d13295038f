#!/usr/bin/env python3
"""How many of the ten nearest images does a shortlist of K hold, and what does it cost?

The ten nearest are those of the exact distance of every query to every gallery image, on real
features: partial queries against the whole gallery of Market-1501. Compared are shortlists by the
global distance, as in the original, by the coarse distance in d dimensions, and by the exact form
on projected columns. Needs Market-1501 and the original's checkpoint, and about ten minutes.

    python -m benchmarks.recall [--queries 100]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.bench import peak_gigabytes, report
from benchmarks.real_features import Real, extract
from partialreid.matching.coarse import (
    CoarseIndex,
    CoarseSpace,
    principal_directions,
    second_moment,
)
from partialreid.matching.coarse_shortlist import SAMPLE
from partialreid.matching.reconstruction import reconstruction_distance
from partialreid.runtime.progress import tracker

LENGTHS = (20, 50, 100, 200, 500, 1000)
DIMENSIONS = (16, 24, 32, 48, 64, 96)
RIDGES = (0.001, 0.03, 0.3, 3.0)
NEAREST = 10
EXACT_BYTES = 1280 * 70 * 4
EXACT_PRODUCTS = 70 * 1280 * 70


def recalls(rough: Tensor, nearest: Tensor) -> dict[str, float]:
    """Share of the nearest (Q, 10) among the first K of a rough distance (Q, G), for each K."""
    place = torch.argsort(torch.argsort(rough, dim=1, stable=True), dim=1).gather(1, nearest)
    return {f"K={k}": float((place < k).float().mean()) for k in LENGTHS}


def seconds(function: Callable[[], Tensor]) -> tuple[float, Tensor]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def space_of(real: Real, moment: Tensor, sample: range, dimensions: int, ridge: float):
    """The coarse space of the package, for one choice of its numbers."""
    basis = principal_directions(moment, dimensions, torch.float32)
    length = basis.shape[1] * (basis.shape[1] + 1) // 2
    empty = CoarseSpace(basis, ridge, torch.zeros(length))
    return empty._replace(mean=empty.packed(real.gallery, sample).mean(0))


def truncated(index: CoarseIndex, rank: int) -> Tensor:
    """The index's matrices A with only their largest `rank` eigenvalues, (G, L)."""
    size = index.space.basis.shape[1]
    rows, cols = torch.triu_indices(size, size)
    out = torch.empty(len(index.levels), len(rows))
    for start in range(0, len(out), 500):
        some = slice(start, start + 500)
        whole = torch.zeros(len(out[some]), size, size)
        packed = index.levels[some] * index.scale[some, None] + index.space.mean
        whole[:, rows, cols] = whole[:, cols, rows] = packed
        values, vectors = torch.linalg.eigh(whole)
        kept = vectors[:, :, -rank:] * values[:, None, -rank:]
        out[some] = (kept @ vectors[:, :, -rank:].mT)[:, rows, cols]
    return out


def lightest_dropped(weights: list[Tensor], share: float) -> list[Tensor]:
    """Weights with only the heaviest share of each query's columns left."""
    kept = []
    for row in weights:
        least = row.sort(descending=True).values[max(1, round(share * len(row))) - 1]
        kept.append(row * (row >= least))
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=100)
    count = parser.parse_args().queries
    with tempfile.TemporaryDirectory() as folder:
        measure(extract("Market1501Partial", count, folder))


def measure(real: Real) -> None:
    queries, galleries = len(real.query), len(real.gallery)
    spent, exact = seconds(
        lambda: reconstruction_distance(
            real.query, real.gallery, real.weights, track=tracker("all pairs, exactly")
        )
    )
    nearest = torch.argsort(exact, dim=1, stable=True)[:, :NEAREST]
    rows = [
        {
            "shortlist": "none: exact on all",
            "bytes an image": EXACT_BYTES,
            "products a pair": EXACT_PRODUCTS,
            "search, s": spent,
        }
    ]

    def add(name: str, size: int, products: int, built: float, spent: float, rough: Tensor) -> None:
        rows.append(
            {
                "shortlist": name,
                "bytes an image": size,
                "products a pair": products,
                "index, s": built,
                "search, s": spent,
                **recalls(rough, nearest),
            }
        )

    spent, rough = seconds(lambda: 1 - real.features[:queries] @ real.features[queries:].T)
    width = real.features.shape[1]
    add("global distance", 4 * width, width, 0.0, spent, rough)
    sample = range(0, galleries, max(1, galleries // SAMPLE))
    moment = second_moment(real.gallery, sample)
    for dimensions in DIMENSIONS:
        for ridge in RIDGES if dimensions == 64 else (0.3,):
            space = space_of(real, moment, sample, dimensions, ridge)
            built, index = seconds(lambda s=space: CoarseIndex(s, real.gallery))
            spent, rough = seconds(lambda i=index: i.distances(real.query, real.weights))
            length = len(space.mean)
            name = f"coarse, {dimensions} dimensions, ridge {ridge}"
            add(name, length + 4, length, built, spent, rough)
            if (dimensions, ridge) != (64, 0.3):
                continue
            vectors = space.query_vectors(real.query, real.weights)
            for rank in (8, 16, 32):
                low = truncated(index, rank)
                rough = -(vectors @ low.T)
                add(f"{name}, rank {rank}", rank * dimensions, length, 0.0, 0.0, rough)
            for share in (0.5, 0.25):
                light = lightest_dropped(real.weights, share)
                spent, rough = seconds(lambda i=index, w=light: i.distances(real.query, w))
                add(f"{name}, {share:.0%} of columns", length + 4, length, built, spent, rough)
    for dimensions in (64, 128):
        basis = principal_directions(moment, dimensions, torch.float32)
        query, gallery = (
            torch.stack([basis.T @ side[i].float() for i in range(len(side))])
            for side in (real.query, real.gallery)
        )
        spent, rough = seconds(
            lambda q=query, g=gallery: reconstruction_distance(q, g, real.weights, kappa=0.3)
        )
        name = f"exact form on {dimensions} dimensions, ridge 0.3"
        add(name, 70 * dimensions * 4, 70 * dimensions * 70, 0.0, spent, rough)
    shapes = f"{queries} partial queries, {galleries} gallery images, 1280 channels, 70 columns"
    report("recall", shapes, rows, peak_memory_gb=round(peak_gigabytes(), 2))


if __name__ == "__main__":
    main()
