#!/usr/bin/env python3
"""What does a gallery on disk cost? Bytes and seconds of an index, and of Lance beside it.

    python -m benchmarks.index --images 100000 --folder /where/there/is/room

It writes 190 kB for each image, and removes all of it at the end. Columns are those of the other
benchmarks: 1280 channels, 70 columns, float16. "Cold" is after the system was told to forget the
files. `--engines sqlite lance` needs `pip install lancedb pylance`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.bench import ROOT, peak_gigabytes, report
from benchmarks.index_engines import Engine, Lance, Sqlite
from partialreid.evaluation.matchers import RidgeMatcher
from partialreid.index.gallery import Index
from partialreid.index.record import Record
from partialreid.index.stamps import Stamp
from partialreid.matching.extracted import Images
from partialreid.runtime.progress import progress
from tests.reconstruction_oracle import features, weights_of

CHANNELS, COLUMNS, DIFFERENT, TOPK, COMMIT, CAMERAS = 1280, 70, 500, 100, 256, 8
ADDED, ROUNDS = 1000, 5
# Lance writes all images anew before it takes the old ones away.
MOST_COMPACTED = 20_000
ENGINES = {"sqlite": Sqlite, "lance": Lance}


class Drawn:
    """Made-up images: beyond the first 500 they repeat, with their channels shifted."""

    def __init__(self) -> None:
        self.columns = features(2, DIFFERENT, CHANNELS, COLUMNS).half()
        generator = torch.Generator().manual_seed(3)
        self.features = F.normalize(torch.randn(DIFFERENT, CHANNELS, generator=generator), dim=1)
        self.weights = weights_of(2, DIFFERENT, COLUMNS)

    def record(self, number: int) -> Record:
        turn, kind = divmod(number, DIFFERENT)
        feature, columns = (
            part[kind].roll(7 * turn, dims=0) for part in (self.features, self.columns)
        )
        stamp = Stamp(5000, number, f"{number:032x}")
        known = {"camera": number % CAMERAS, "time": f"2024-05-01T{number:09}"}
        return Record(f"{number:09}.jpg", stamp, feature, columns, self.weights[kind], known)

    def records(self, start: int, stop: int) -> Iterator[list[Record]]:
        for first in range(start, stop, COMMIT):
            yield [self.record(number) for number in range(first, min(first + COMMIT, stop))]


def query() -> Images:
    columns, weights = features(1, 1, CHANNELS, COLUMNS), weights_of(1, 1, COLUMNS)
    feature = F.normalize(torch.randn(1, CHANNELS), dim=1)
    return Images(feature, columns, list(weights))


def forget(folder: Path) -> None:
    """Have the system forget what it has read of the files below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def measure(name: str, images: int, folder: Path) -> dict[str, Any]:
    """One engine's bytes and seconds."""
    drawn, engine = Drawn(), ENGINES[name](folder)
    engine.create()
    engine.open()
    commits = []
    batches = progress(drawn.records(0, images), -(-images // COMMIT), name, "commits")
    for batch in batches:
        commits.append(seconds(lambda some=batch: engine.add(some)))
    engine.close()
    row = {"engine": name, "images": images, "MB": megabytes(folder)}
    row |= {"filling, s per 1,000": 1000 * sum(commits) / images, "longest commit, s": max(commits)}
    forget(folder)
    row["opening, cold, s"] = seconds(engine.open)
    row["codes of all, cold, s"] = seconds(engine.codes)
    row["codes of all, s"] = seconds(engine.codes)
    row |= fetching(engine, images, folder)
    row["camera = 3, s"] = seconds(engine.select)
    added = list(drawn.records(images, images + ADDED))
    row[f"adding {ADDED}, s"] = sum(seconds(lambda some=batch: engine.add(some)) for batch in added)
    names = [drawn.record(number).name for number in range(0, images, max(1, images // ADDED))]
    row[f"removing {len(names)}, s"] = seconds(lambda: engine.remove(names))
    row["MB then"] = megabytes(folder)
    if isinstance(engine, Lance) and images <= MOST_COMPACTED:
        row["compaction, s"] = seconds(engine.compact)
        row["MB after it"] = megabytes(folder)
    engine.close()
    return row


def fetching(engine: Engine, images: int, folder: Path) -> dict[str, float]:
    """Seconds for the columns of the 100 shortlisted images of a query."""
    generator = np.random.default_rng(0)
    count = min(TOPK, images)
    cold, warm = [], []
    for _ in range(ROUNDS):
        rows = sorted(generator.choice(images, count, replace=False).tolist())
        forget(folder)
        cold.append(seconds(lambda some=rows: engine.columns(some)))
        warm.append(seconds(lambda some=rows: engine.columns(some)))
    return {
        f"columns of {count}, cold, s": float(np.median(cold)),
        f"columns of {count}, s": float(np.median(warm)),
    }


def search(path: str, memory_gb: float) -> dict[str, float]:
    """A process that opens an index and searches it: seconds and memory."""
    one = query()
    RidgeMatcher().every(one, one)  # to warm up
    before = peak_gigabytes()
    forget(Path(path))
    start = time.perf_counter()
    with Index.open(path, memory_bytes=memory_gb * 1e9) as index:
        row = {"memory allowed, GB": memory_gb, "opening, s": time.perf_counter() - start}
        row |= {f"first query: {key}": value for key, value in answer(index, one).items()}
        later = [answer(index, one) for _ in range(ROUNDS)]
        row |= {f"later: {k}": float(np.median([found[k] for found in later])) for k in later[0]}
    row |= {"memory before, GB": before, "peak memory, GB": peak_gigabytes()}
    return row


def answer(index: Index, one: Images) -> dict[str, float]:
    """Seconds of the two stages of one query."""
    found: dict[str, Any] = {}
    first = seconds(lambda: found.update(rows=index.shortlist(one, TOPK)[0]))
    rows = found["rows"]
    pairs = torch.stack([torch.zeros_like(rows), torch.arange(len(rows))], 1)
    second = seconds(lambda: RidgeMatcher().pairs(one, index.images(rows), pairs))
    return {"shortlist, s": first, "exact, s": second}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["sqlite"])
    parser.add_argument("--folder", help="where there is room; as a rule that of temporary files")
    parser.add_argument("--search", nargs=2, metavar=("INDEX", "GB"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.search:
        print(json.dumps(search(args.search[0], float(args.search[1]))))
        return
    rows, searches, checking = [], [], float("nan")
    for name in args.engines:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            rows.append(measure(name, args.images, Path(folder)))
            print(rows[-1], flush=True)
            if name == "sqlite":
                path = Sqlite(Path(folder)).path
                searches = [searching(path, memory_gb) for memory_gb in (2.0, 0.1)]
                with Index.open(path) as index:
                    checking = seconds(index.check)
    shapes = f"{CHANNELS} channels, {COLUMNS} columns in float16, top {TOPK}"
    report("index", shapes, rows, searches=searches, check_seconds=checking)


def searching(path: str, memory_gb: float) -> dict[str, float]:
    """`search` in a process of its own, whose memory is that of a search alone."""
    command = [sys.executable, "-m", "benchmarks.index", "--search", path, str(memory_gb)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
