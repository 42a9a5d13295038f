#!/usr/bin/env python3
"""A million images: how long does it take to open them, to search, and to add 10,000, and how much
memory? And which of the nearest by float32 does the search by bytes find?

    python -m benchmarks.million --folder /where/there/is/room

An index of made-up images with the statistics of real ones: a code is the mean of the real codes,
plus the deviations of two real images, with shares whose squares add up to one, so that mean and
covariance are those of the real codes. The real ones are images of Market-1501 through the released
model, and so are the queries, half of them cut. Columns are not stored: those of shortlisted images
are drawn on demand. Only the 10,000 that are added are whole. It takes 5 GB on the disk, which are
removed at the end, and 4 GB of memory.

Shapes: n real images, B made-up ones of a commit, L numbers of a code, Q queries, K shortlisted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from benchmarks.bench import ROOT, peak_gigabytes, report
from benchmarks.index import CHANNELS, COLUMNS, Drawn, forget, megabytes, seconds
from partialreid.evaluation.matchers import RidgeMatcher
from partialreid.index.coarse_stage import (
    CoarseSettings,
    code_checksum,
    space_of,
    write_space,
)
from partialreid.index.gallery import Index
from partialreid.index.packing import checksum, packed
from partialreid.matching.coarse import LEVELS, CoarseSpace
from partialreid.matching.extracted import Images
from partialreid.matching.shortlists import nearest
from partialreid.runtime.progress import progress

IMAGES, ADDED, QUERIES, TOPK = 1_000_000, 10_000, 256, 100
REAL, OF_A_COMMIT, PUT = 5000, 4096, 256
GLOBAL = 128  # numbers of a global feature, which no search here reads
ROUNDS = 7
BANDWIDTH_BYTES = 2**28
MODEL = ROOT / "models" / "partialreid_mobilenetv2_market.safetensors"


class Real(NamedTuple):
    """What is known of real images.

    Attributes:
        space: fitted to them.
        codes: (n, L) in float32.
        queries: (Q, L), see `CoarseSpace.query_vectors`.
    """

    space: CoarseSpace
    codes: Tensor
    queries: Tensor


def real_codes(images: int = REAL, queries: int = QUERIES) -> Real:
    """Codes of images of Market-1501 and vectors of queries; exits where it is absent."""
    from partialreid.search.partial_reid import PartialReID

    root = Path(os.environ.get("FASTREID_DATASETS") or ROOT / "datasets") / "Market-1501-v15.09.15"
    if not root.exists():
        print(f'skipped: "{root}" is not there (FASTREID_DATASETS)')
        sys.exit(0)
    gallery = sorted((root / "bounding_box_test").glob("[0-9]*.jpg"))
    asking = sorted((root / "query").glob("*.jpg"))
    gallery, asking = gallery[:: len(gallery) // images], asking[:: len(asking) // queries]
    model = PartialReID.load(str(MODEL), "MODEL.DEVICE", "cpu")
    sample = model.embed(gallery[:: max(1, images // OF_A_COMMIT * 16)]).images().columns
    space = space_of(sample, CoarseSettings())
    codes = []
    starts = range(0, images, PUT)
    for start in progress(starts, len(starts), "real images", "blocks"):
        columns = model.embed(gallery[start : start + PUT]).images().columns
        codes.append(space.packed(columns, range(len(columns))))
    cut = [_cut(path, number) for number, path in enumerate(asking[:queries])]
    found = model.embed(cut).images()
    return Real(space, torch.cat(codes), space.query_vectors(found.columns, found.weights))


def _cut(path: Path, number: int) -> Image.Image:
    """A picture, every other one without its upper or lower two fifths."""
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    kept = height * 3 // 5
    boxes = [None, (0, 0, width, kept), None, (0, height - kept, width, height)]
    box = boxes[number % len(boxes)]
    return picture.crop(box) if box else picture


def made_up(real: Real, start: int, stop: int) -> Tensor:
    """Codes (B, L) of made-up images, before they become bytes."""
    generator = torch.Generator().manual_seed(start)
    one, other = torch.randint(len(real.codes), (2, stop - start), generator=generator)
    angle = torch.rand(stop - start, 1, generator=generator) * torch.pi / 2
    mean = real.codes.mean(0)
    return (
        mean
        - real.space.mean
        + angle.cos() * (real.codes[one] - mean)
        + angle.sin() * (real.codes[other] - mean)
    )


def fill(path: str, real: Real, images: int) -> None:
    """An index of made-up images: all of them but columns and metadata."""
    Index.create(path, "made up")
    # Global features are those of as many different images as there are in a commit.
    features = F.normalize(torch.randn(OF_A_COMMIT, GLOBAL), dim=1).half()
    stored = [(checksum(data), data) for data in map(packed, features)]
    kinds = {"channels": CHANNELS, "dimensions": GLOBAL, "features": "float16"}
    with Index.open(path, write=True) as index:
        database = index._database
        with database.transaction():
            write_space(database, real.space, images)
            database.set_about(kinds)
        starts = range(0, images, OF_A_COMMIT)
        for start in progress(starts, len(starts), "made-up images", "commits"):
            stop = min(start + OF_A_COMMIT, images)
            codes, ids = made_up(real, start, stop), range(start + 1, stop + 1)
            scale = codes.abs().amax(1) / LEVELS
            levels = [packed(row) for row in (codes / scale[:, None]).round().to(torch.int8)]
            with database.transaction():
                database.write(
                    "INSERT INTO images VALUES (?, ?, 0, 0, '', ?)",
                    [(i, f"{i:09}.jpg", COLUMNS) for i in ids],
                )
                rows = [(i, *feature) for i, feature in zip(ids, stored)]
                database.write("INSERT INTO features VALUES (?, ?, ?)", rows)
                database.write(
                    "INSERT INTO coarse VALUES (?, ?, ?, ?)",
                    [
                        (i, code_checksum(step, row), step, row)
                        for i, step, row in zip(ids, scale.tolist(), levels)
                    ],
                )


def _exact() -> float:
    """Seconds of the exact distances of a query to K images, whose columns are drawn for it."""
    drawn = Drawn()
    query = Images(drawn.features[:1], drawn.columns[:1].float(), list(drawn.weights[:1]))
    gallery = Images(drawn.features[:TOPK], drawn.columns[:TOPK], list(drawn.weights[:TOPK]))
    pairs = torch.stack([torch.zeros(TOPK, dtype=torch.long), torch.arange(TOPK)], 1)
    return seconds(lambda: RidgeMatcher().pairs(query, gallery, pairs))


def bandwidth() -> float:
    """GB/s at which all threads together read memory."""
    much = torch.ones(BANDWIDTH_BYTES // 8, dtype=torch.int64)
    return BANDWIDTH_BYTES / min(seconds(much.sum) for _ in range(ROUNDS)) / 1e9


def search(path: str, real: Real) -> dict[str, Any]:
    """Seconds of a process that opens an index and searches it, memory, and recall."""
    row: dict[str, Any] = {"bandwidth, GB/s": bandwidth()}
    before = peak_gigabytes()
    forget(Path(path))
    start = time.perf_counter()
    with Index.open(path, memory_bytes=4e9) as index:
        row["opening, s"] = time.perf_counter() - start
        # The vectors of real queries are known, and their columns are not.
        index._search._vectors = lambda query, squared: query.features
        every = _asking(real.queries)
        row["first query, s"] = seconds(lambda: index.shortlist(_asking(real.queries[:1]), TOPK))
        alone = [
            seconds(lambda n=n: index.shortlist(_asking(real.queries[n : n + 1]), TOPK))
            for n in range(1, 2 * ROUNDS)
        ]
        row["one alone, ms"] = 1000 * float(np.median(alone))
        row["one alone, best, ms"] = 1000 * min(alone)
        together = [seconds(lambda: index.shortlist(every, TOPK)) for _ in range(3)]
        row["together, ms each"] = 1000 * float(np.median(together)) / len(every.weights)
        row["together, best, ms each"] = 1000 * min(together) / len(every.weights)
        row["exact distances of one, ms"] = 1000 * float(np.median([_exact() for _ in range(3)]))
        row |= {"memory before, GB": before, "peak memory, GB": peak_gigabytes()}
        found = index.shortlist(every, TOPK)
        stored, whole = _by_float32(index, real)
        row["recall of float32, same bytes"] = overlap(found, stored)
        row["recall of float32, codes in float32"] = overlap(found, whole)
        row["the same of all bytes in float32"] = overlap(stored, whole)
    return row


def _asking(vectors: Tensor) -> Images:
    """Queries of which the vectors in the coarse space are known: their features play that part."""
    return Images(vectors, [], list(vectors[:, :1]))


def _by_float32(index: Index, real: Real) -> tuple[Tensor, Tensor]:
    """Places (Q, K) of the nearest by products in float32, of bytes and of codes in float32."""
    vectors, total = real.queries, len(index)
    best = [(torch.empty(len(vectors), 0), torch.empty(len(vectors), 0, dtype=torch.long))] * 2
    starts = range(0, total, OF_A_COMMIT)
    for start in progress(starts, len(starts), "in float32", "blocks"):
        codes = made_up(real, start, min(start + OF_A_COMMIT, total))
        scale = codes.abs().amax(1, keepdim=True) / LEVELS
        here = torch.arange(start, start + len(codes)).expand(len(vectors), -1)
        for kind, some in enumerate(((codes / scale).round() * scale, codes)):
            values = torch.cat([best[kind][0], -(vectors @ some.T)], dim=1)
            places = torch.cat([best[kind][1], here], dim=1)
            order = nearest(values, TOPK)
            best[kind] = values.gather(1, order), places.gather(1, order)
    return best[0][1], best[1][1]


def overlap(found: Tensor, wanted: Tensor) -> float:
    """Share of the wanted places (Q, K) that are found."""
    both = [np.isin(row, other).mean() for row, other in zip(wanted.numpy(), found.numpy())]
    return float(np.mean(both))


def adding(path: str, images: int, added: int) -> dict[str, float]:
    """Seconds of adding whole images, commit by commit, and of seeing them from another process."""
    drawn = Drawn()
    drawn.features = drawn.features[:, :GLOBAL].half()
    with Index.open(path) as reader, Index.open(path, write=True) as index:
        commits = [
            seconds(lambda some=some: index.put(some))
            for some in progress(_records(drawn, images, added), -(-added // PUT), "adding", "")
        ]
        refreshing = seconds(reader.refresh)
        assert len(index) == len(reader) == images + added
    return {
        f"adding {added}, s": sum(commits),
        "median commit, s": float(np.median(commits)),
        "refresh of a reader, s": refreshing,
    }


def _records(drawn: Drawn, images: int, added: int) -> Iterator[list[Any]]:
    for records in drawn.records(images, images + added):
        yield [record._replace(name=f"new/{record.name}") for record in records]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--added", type=int, default=ADDED)
    parser.add_argument("--folder", help="where there is room; as a rule that of temporary files")
    parser.add_argument("--real", help="file that keeps the codes of real images for another run")
    parser.add_argument("--search", nargs=2, metavar=("INDEX", "REAL"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.search:
        path, kept = args.search
        print(json.dumps(search(path, loaded(kept))))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        kept = args.real or str(Path(folder) / "real.pt")
        keep(kept)
        path = str(Path(folder) / "million.index")
        row = {"images": args.images}
        row["filling, s"] = seconds(lambda: fill(path, loaded(kept), args.images))
        row["MB"] = megabytes(Path(path))
        row |= searching(path, kept)
        row |= adding(path, args.images, args.added)
    report("million", f"{args.images} made-up images, top {TOPK}", [row])


def keep(path: str) -> None:
    """Write the codes of real images, unless they are there."""
    if not Path(path).exists():
        space, *others = real_codes()
        torch.save((tuple(space), *others), path)


def loaded(path: str) -> Real:
    """What `keep` wrote."""
    space, codes, queries = torch.load(path, weights_only=True)
    return Real(CoarseSpace(*space), codes, queries)


def searching(path: str, kept: str) -> dict[str, Any]:
    """`search` in a process of its own, whose memory is that of a search alone."""
    command = [sys.executable, "-m", "benchmarks.million", "--search", path, kept]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
