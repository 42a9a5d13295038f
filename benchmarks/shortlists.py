#!/usr/bin/env python3
"""Up to which gallery is it faster to reconstruct all pairs than to search for the nearest first?

Both ways are timed with the same images, beside what `TEST.DSR.SHORTLIST auto` expects and takes.
Shapes: C channels, N columns.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.bench import report, time_in_turn
from partialreid.evaluation.matchers import RidgeMatcher
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.column_store import ColumnStore
from partialreid.matching.extracted import Images
from partialreid.matching.search_cost import (
    CPU,
    GPU,
    Work,
    all_pairs_are_faster,
    predicted_seconds,
)
from partialreid.matching.sharding import sharded_distances
from partialreid.runtime.memory_budget import memory_budget

CHANNELS, COLUMNS, DIMENSIONS, KAPPA, TOPK = 1280, 70, 64, 0.3, 100
# Queries and galleries.
ON_CPU = ((1, 300), (1, 1000), (100, 120), (100, 200), (100, 400), (400, 200))
ON_GPU = ((1, 1000), (60, 300), (600, 600), (1000, 1000), (1000, 4000), (3368, 4000), (3368, 8000))
ROUNDS = 3


def images(count: int, seed: int, store: ColumnStore, device: str) -> Images:
    """Made-up images, their columns of unit length in float16."""
    torch.manual_seed(seed)
    shared = torch.rand(CHANNELS, 1, device=device)
    for size in [64] * (count // 64) + [count % 64]:
        columns = shared + torch.rand(size, CHANNELS, COLUMNS, device=device)
        store.append(F.normalize(columns, dim=1).half())
    features = F.normalize(torch.rand(count, CHANNELS, device=device), dim=1)
    weights = F.normalize(torch.rand(count, COLUMNS, device=device), p=1, dim=1)
    return Images(features, store, list(weights))


def measure(device: str, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """A row for each number of queries and galleries: seconds of both ways, and what is taken."""
    return [_row(device, rounds, *sizes) for sizes in (ON_CPU if device == "cpu" else ON_GPU)]


def _row(device: str, rounds: int, queries: int, galleries: int) -> dict[str, Any]:
    budget = memory_budget("auto", device)
    matcher = RidgeMatcher(memory_bytes=int(budget.matching))
    with tempfile.TemporaryDirectory() as folder:
        asked, searched = (ColumnStore(budget.columns, folder, device) for _ in range(2))
        with asked, searched:
            query = images(queries, 1, asked, device)
            gallery = images(galleries, 2, searched, device)

            def coarse() -> None:
                rough = build_coarse(gallery, DIMENSIONS, KAPPA)
                sharded_distances(query, gallery, matcher, topk=TOPK, rough=rough)

            work = {"all": lambda: sharded_distances(query, gallery, matcher), "coarse": coarse}
            seconds = time_in_turn(work, rounds, device)
    every, listed = (seconds[way]["median"] for way in work)
    size = Work(queries, galleries, TOPK, CHANNELS, COLUMNS, COLUMNS, DIMENSIONS)
    on_cpu = device == "cpu"
    expected = predicted_seconds(size, CPU if on_cpu else GPU)
    return {
        "queries": queries,
        "galleries": galleries,
        "all pairs, s": every,
        "coarse, s": listed,
        "times": listed / every,
        "expected all pairs, s": expected[0],
        "expected coarse, s": expected[1],
        "expected times": expected[1] / expected[0],
        "auto": "none" if all_pairs_are_faster(size, on_cpu) else "coarse",
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args(arguments).rounds
    shapes = f"{CHANNELS} channels, {COLUMNS} columns in float16, top {TOPK}"
    report("shortlists", shapes, measure("cpu", rounds))


if __name__ == "__main__":
    main()
