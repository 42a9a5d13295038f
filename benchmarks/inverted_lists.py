#!/usr/bin/env python3
"""Does a search through inverted lists pay? Time and recall for numbers of lists and of probes.

    python -m benchmarks.inverted_lists [--images 1000000] [--times 1 2 4] [--real FILE]

The codes are those of `benchmarks.million`, made up of real ones, and lie in memory. The second
pass is that of every search. Recall is the share of the shortlist without lists that is found.

Shapes: G images, B of a block, Q queries, K shortlisted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from benchmarks.bench import report
from benchmarks.index import seconds
from benchmarks.million import (
    OF_A_COMMIT,
    QUERIES,
    Real,
    keep,
    loaded,
    made_up,
    overlap,
    real_codes,
)
from partialreid.index import inverted_lists
from partialreid.index.blocks import Block, Budget
from partialreid.index.inverted_lists import InvertedLists
from partialreid.index.two_passes import by_whole_codes, candidates_of, shortlist_in_two_passes
from partialreid.matching.coarse import LEVELS
from partialreid.matching.coarse_integers import leading_numbers, query_bytes
from partialreid.runtime.progress import progress

IMAGES, TIMES, TOPK, FIRST = 200_000, (1, 2, 4), 100, 10
SHARES = (0.01, 0.02, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 1)  # of the lists, that a query looks into
ALONE, TOGETHER = 11, 2  # searches that are timed
Search = Callable[[Tensor], Tensor]
"""From vectors of queries to places (Q, K)."""


class Codes:
    """Made-up images as a search has them in memory."""

    def __init__(self, real: Real, images: int) -> None:
        self.ids = np.arange(images)
        self.leading, self._others = leading_numbers(real.space)
        self._blocks: list[tuple[Tensor, Block]] = []
        starts = range(0, images, OF_A_COMMIT)
        for start in progress(starts, len(starts), "made-up images", "blocks"):
            here = torch.arange(start, min(start + OF_A_COMMIT, images))
            codes = made_up(real, start, start + len(here))
            scale = codes.abs().amax(1) / LEVELS
            levels = (codes / scale[:, None]).round().to(torch.int8)
            block = levels[:, self.leading], levels[:, self._others], scale
            self._blocks.append((here, block))

    def through(self, places: np.ndarray) -> Iterator[tuple[Tensor, Block]]:
        """Places and codes, block by block."""
        for here, block in self._blocks:
            first, last = int(here[0]), int(here[-1])
            some = places[np.searchsorted(places, first) : np.searchsorted(places, last + 1)]
            if len(some) == len(here):
                yield here, block
            elif len(some):
                found = torch.from_numpy(some)
                yield found, tuple(part[found - first] for part in block)

    def every(self) -> Iterator[tuple[Tensor, Block]]:
        return iter(self._blocks)

    def parts(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        return vectors[:, self.leading], vectors[:, self._others]

    def whole(self, vectors: Tensor) -> Tensor:
        """The shortlist without lists."""
        total = len(self.ids)
        return shortlist_in_two_passes(self.parts(vectors), self.every, total, TOPK)

    def listed(self, lists: InvertedLists, vectors: Tensor) -> Tensor:
        """The shortlist through lists."""
        parts, wanted = self.parts(vectors), candidates_of(TOPK)
        found = lists.candidates(parts[0], wanted, TOPK, self.ids, self.through)
        if found is None:
            return self.whole(vectors)
        both = query_bytes(torch.cat(parts, dim=1))
        return by_whole_codes(both, len(self.leading), found, self.every, TOPK)


def timed(search: Search, vectors: Tensor, wanted: Tensor) -> dict[str, float]:
    """Milliseconds of queries alone and of all at once, and what they find of the wanted."""
    search(vectors[:1])
    alone = [seconds(lambda one=one: search(one)) for one in vectors[:ALONE].split(1)]
    together = [seconds(lambda: search(vectors)) for _ in range(TOGETHER)]
    found = search(vectors)
    return {
        "one alone, ms": 1000 * float(np.median(alone)),
        "best, ms": 1000 * min(alone),
        f"{len(vectors)} at once, ms each": 1000 * min(together) / len(vectors),
        f"recall@{TOPK}": overlap(found, wanted),
        f"of the first {FIRST}": overlap(found, wanted[:, :FIRST]),
    }


def measure(
    real: Real, images: int, times: list[int], shares: list[float]
) -> tuple[list[dict[str, Any]], Any]:
    """Rows of the curve, and what it takes to make lists."""
    codes, vectors = Codes(real, images), real.queries
    wanted = codes.whole(vectors)
    rows, making = [], []
    for turn in times:
        inverted_lists.LISTS = turn
        count = round(turn * images**0.5)
        rows.append({"lists": 0, "probes": 0, **timed(codes.whole, vectors, wanted)})
        before = psutil.Process().memory_info().rss
        lists = InvertedLists(1, Budget(float("inf")))
        search = partial(codes.listed, lists)
        needed = seconds(partial(search, vectors[:1]))
        taken = (psutil.Process().memory_info().rss - before) / 1e6
        making.append({"lists": count, "making, s": needed, "memory, MB": taken})
        for share in shares:
            lists.probes = max(1, round(share * count))
            row = timed(search, vectors, wanted)
            rows.append({"lists": count, "probes": lists.probes, **row})
            print(rows[-1], flush=True)
    return rows, making


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--times", type=int, nargs="+", default=TIMES, help="the root of images")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="lists looked into")
    parser.add_argument("--real", help="file that keeps the codes of real images for another run")
    args = parser.parse_args(argv)
    if args.real:
        keep(args.real)
    real = loaded(args.real) if args.real else real_codes()
    rows, making = measure(real, args.images, args.times, args.shares)
    shapes = f"{args.images} made-up images, {QUERIES} queries, top {TOPK}"
    report("inverted_lists", shapes, rows, making=making)


if __name__ == "__main__":
    main()
