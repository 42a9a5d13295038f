#!/usr/bin/env python3
"""What do two processes gain over one? The same matching, spread by halves, on the same cores.

One process has all threads; each of two has half of them. The result must be the same.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch

from benchmarks.bench import no_options, report
from benchmarks.scale import images
from partialreid.engine.launching import launch
from partialreid.evaluation.matchers import RidgeMatcher
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.extracted import Images
from partialreid.matching.sharding import sharded_distances
from partialreid.runtime.collectives import rank, world_size

QUERIES, GALLERIES, TOPK = 200, 4000, 100
TRAVEL = 100e6  # bytes of query columns at a time


def part(whole: Images, count: int) -> Images:
    """This process's half, or all of it."""
    start, stop = count * rank() // world_size(), count * (rank() + 1) // world_size()
    columns = [whole.columns[i] for i in range(start, stop)]
    return Images(whole.features[start:stop], columns, whole.weights[start:stop])


def run(folder: str) -> None:
    query = part(images(QUERIES, 1, folder), QUERIES)
    gallery = part(images(GALLERIES, 2, folder), GALLERIES)
    if world_size() > 1:
        torch.distributed.barrier()
    start = time.perf_counter()
    rough = build_coarse(gallery, 64, 0.3)
    found = sharded_distances(
        query, gallery, RidgeMatcher(), topk=TOPK, rough=rough, block_bytes=TRAVEL
    )
    spent = time.perf_counter() - start
    if found is not None:
        torch.save((spent, *found), Path(folder) / f"{world_size()}.pt")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for processes in (1, 2):
            launch(run, "cpu", processes, args=(folder,))
        (one_s, *one), (two_s, *two) = (torch.load(Path(folder) / f"{n}.pt") for n in (1, 2))
    same = (one[1] < 100) == (two[1] < 100)
    both = (one[1] < 100) & (two[1] < 100)
    rows = [{"processes": 1, "seconds": one_s}, {"processes": 2, "seconds": two_s}]
    report(
        "shards",
        f"{QUERIES} queries, {GALLERIES} galleries, top {TOPK}, coarse shortlist, gloo",
        rows,
        share_of_equal_shortlist=float(same.float().mean()),
        largest_difference=float((one[1] - two[1])[both].abs().max()),
    )


if __name__ == "__main__":
    no_options(__doc__)
    main()
