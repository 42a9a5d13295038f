"""Two and three processes give the distances of one, however the images are spread."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

# Child processes import this module and no conftest: partialreid comes before fastreid here too.
import partialreid  # noqa: F401
from partialreid.dsr_distance import compute_dsr_dist
from partialreid.engine.launching import launch
from partialreid.evaluation.matchers import RidgeMatcher
from partialreid.matching import residual_tiles
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.column_store import ColumnStore
from partialreid.matching.extracted import Images
from partialreid.matching.sharding import sharded_distances
from tests.reconstruction_oracle import features, weights_of

QUERIES, GALLERIES, CHANNELS = 11, 23, 16
# How many queries and galleries each process holds: uneven, some with none.
SPREADS = {
    2: [((11, 0), (5, 18)), ((4, 7), (23, 0))],
    3: [((11, 0, 0), (2, 13, 8)), ((3, 0, 8), (0, 23, 0)), ((5, 5, 1), (9, 0, 14))],
}


def case(ragged: bool) -> tuple[Images, Images]:
    """All queries and galleries; two galleries are equally near, globally, to every query."""
    generator = torch.Generator().manual_seed(0)
    sides = []
    for images, seed in ((QUERIES, 1), (GALLERIES, 2)):
        # Eighths: their products are exact in float32, whatever the shape of the product.
        vectors = (4 * torch.randn(images, 6, generator=generator)).round() / 8
        counts = [3 + (5 * i) % 4 if ragged else 5 for i in range(images)]
        columns = [features(100 * seed + i, 1, CHANNELS, n)[0] for i, n in enumerate(counts)]
        weights = [weights_of(100 * seed + i, 1, n)[0] for i, n in enumerate(counts)]
        sides.append(Images(vectors, columns, weights))
    sides[1].features[17] = sides[1].features[3]
    return sides[0], sides[1]


def part(images: Images, spread: tuple[int, ...], rank: int, folder: str) -> Images:
    start = sum(spread[:rank])
    stop = start + spread[rank]
    # A budget that some of the images exceed, so that columns are read from a file as well.
    store = ColumnStore(500, folder, "cpu")
    store.append(images.columns[start:stop])
    return Images(images.features[start:stop], store, images.weights[start:stop])


# (topk, ragged, coarse)
CASES = ((4, True, False), (4, True, True), (0, False, False))


class Factored:
    """Counts how often each gallery image of this process is factored, by its first number."""

    def __init__(self) -> None:
        self.times: Counter[float] = Counter()
        self._original = residual_tiles.gallery_projectors
        residual_tiles.gallery_projectors = self

    def __call__(self, columns: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        self.times.update(columns.sum((1, 2)).tolist())
        return self._original(columns, *args, **options)


def compute(folder: str, world: int) -> None:
    """One process: every case in every spread, the main one's results into a file."""
    rank = torch.distributed.get_rank()
    results = []
    factored = Factored()
    for topk, ragged, coarse in CASES:
        query, gallery = case(ragged)
        for queries, galleries in SPREADS[world]:
            mine = part(query, queries, rank, folder), part(gallery, galleries, rank, folder)
            rough = build_coarse(mine[1], 8, 0.3) if coarse else None
            options = {"topk": topk, "fill": 7.0, "rough": rough, "block_bytes": 900}
            # Of the visiting queries some come into memory and some into a file.
            visitors = ColumnStore(500, folder)
            factored.times.clear()
            results.append(sharded_distances(*mine, RidgeMatcher(), visitors=visitors, **options))
            assert (results[-1] is None) == (rank != 0)
            # Queries come in blocks of three or so, and yet each gallery is factored once.
            assert set(factored.times.values()) <= {1}
            held = galleries[rank]
            assert len(factored.times) <= held
            assert topk or len(factored.times) == held
            assert visitors.bytes_in_memory <= 500
            if queries[rank] < QUERIES - 2:
                assert visitors.bytes_in_file > 0
            bare = (Images(images.features, [], []) for images in mine)
            alone = sharded_distances(*bare, None)
            assert (alone is None) == (rank != 0)
            if alone is not None:
                assert alone[1] is None
                torch.testing.assert_close(alone[0], results[-1][0])
    if rank == 0:
        torch.save(results, Path(folder) / "results.pt")


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_equal_to_one_process(tmp_path: Path, world: int, time_limit) -> None:
    """One start of the processes for all cases: it takes longer than they do."""
    with time_limit(300):
        launch(compute, "cpu", world, args=(str(tmp_path), world))
    results = iter(torch.load(tmp_path / "results.pt"))
    for topk, ragged, coarse in CASES:
        query, gallery = case(ragged)
        rough = build_coarse(gallery, 8, 0.3) if coarse else None
        options = {"topk": topk, "fill": 7.0, "rough": rough}
        near, matched = sharded_distances(query, gallery, RidgeMatcher(), **options)
        for _ in SPREADS[world]:
            got_near, got_matched = next(results)
            torch.testing.assert_close(got_near, near, atol=1e-6, rtol=0)
            torch.testing.assert_close(got_matched, matched, atol=1e-6, rtol=0)
    assert next(results, None) is None


@pytest.mark.parametrize("topk", [4, 0])
def test_one_process_is_the_plain_distance(topk: int) -> None:
    query, gallery = case(ragged=False)
    near, matched = sharded_distances(query, gallery, RidgeMatcher(), topk=topk, fill=7.0)
    torch.testing.assert_close(near, 1 - query.features @ gallery.features.T)
    stacked = [torch.stack(list(images.columns)) for images in (query, gallery)]
    weights = torch.stack(list(query.weights))
    wanted = compute_dsr_dist(*stacked, near, weights, topk=topk, fill=7.0)
    torch.testing.assert_close(matched, wanted)
    assert (matched == 7.0).sum() == (QUERIES * (GALLERIES - 4) if topk else 0)


def test_a_rough_distance_selects_what_is_matched() -> None:
    query, gallery = case(ragged=True)
    every = RidgeMatcher().every(query, gallery)

    def farthest(block: Images) -> torch.Tensor:
        return -every

    _, matched = sharded_distances(query, gallery, RidgeMatcher(), topk=2, fill=-1, rough=farthest)
    kept = torch.zeros_like(matched, dtype=torch.bool)
    kept.scatter_(1, every.topk(2, dim=1).indices, True)
    torch.testing.assert_close(matched[kept], every[kept], atol=1e-6, rtol=0)
    assert (matched[~kept] == -1).all()


def test_no_query_at_all() -> None:
    query, gallery = case(ragged=False)
    none = Images(query.features[:0], [], [])
    near, matched = sharded_distances(none, gallery, RidgeMatcher(), topk=3)
    assert near.shape == matched.shape == (0, GALLERIES)
