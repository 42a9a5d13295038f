"""How often the host waits for the GPU while it matches: at most as often as is stated here.

By block, tile and step and never by image: with twice the images in as many blocks, the host waits
no more often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from partialreid.matching import lasso, residual_tiles
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.extracted import Images
from partialreid.matching.lasso import lasso_distance
from partialreid.matching.reconstruction import (
    reconstruction_distance,
    reconstruction_distance_pairs,
    reconstruction_distance_topk,
)
from partialreid.matching.sharding import sharded_distances
from tests.reconstruction_oracle import features, weights_of
from tests.standin.counts import Counts
from tests.standin.gpu import StandInGpu

QUERIES = 6
# Once in a call: are the query columns finite?
CALL = 1
# For each block of galleries that is factored: are its Gram matrices trusted, could they be
# factored?
FACTOR = 2
# For each tile of distances: is a column rebuilt nearly exactly?
TILE = 1
# Where one is: which are they, twice, as their number comes first; and for each gallery image with
# such a column whether its Gram matrix is trusted, and could be factored.
NEARLY_EXACT, DIRECT = 2, 2
# What is sent to the device: for every pair the order of queries and galleries; for listed ones
# the queries of a batch and the places of a block's distances.
EVERY_SENT, LISTED_SENT = 2, 2
# For each gallery image of the lasso: are its columns finite, and are all codes optimal?
LASSO_IMAGE, LASSO_IMAGE_SENT = 2, 3
# For each step of it: which codes are left, and how many columns are active.
LASSO_STEP = 2
# Once for a gallery: is its second moment finite, could it be decomposed, are its images finite?
COARSE = 3
# For each block of queries: the shortlist.
SHORTLIST = 1

Columns = list[Tensor]


def images(device: torch.device, galleries: int) -> tuple[Columns, Columns, Columns]:
    """Columns of queries and galleries and the queries' weights, of several sizes."""
    query, gallery = features(1, QUERIES, 16, 7), features(2, galleries, 16, 9)
    weights = weights_of(3, QUERIES, 7)
    sizes = [4 + i % 3 for i in range(QUERIES)]
    return (
        [image[:, :n].to(device) for image, n in zip(query, sizes, strict=True)],
        [image[:, : 5 + i % 4].to(device) for i, image in enumerate(gallery)],
        [row[:n].to(device) for row, n in zip(weights, sizes, strict=True)],
    )


@contextmanager
def calls(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> Iterator[list[None]]:
    """A list that grows by one at each call of a function."""
    done: list[None] = []
    function = getattr(owner, name)

    def counted(*args: Any, **options: Any) -> Any:
        done.append(None)
        return function(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, counted)
        yield done


def ridge(
    standin: StandInGpu, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]
) -> tuple[Counts, int, int]:
    """What is counted while distances are computed, and how many blocks and tiles they have."""
    with (
        calls(monkeypatch, residual_tiles, "gallery_projectors") as factored,
        calls(monkeypatch, residual_tiles.ResidualTiles, "_distances") as tiles,
        standin.count() as seen,
    ):
        work()
    return seen, len(factored), len(tiles)


@pytest.mark.parametrize("galleries", [12, 24])
def test_every_pair_in_one_block(
    standin: StandInGpu, monkeypatch: pytest.MonkeyPatch, galleries: int
) -> None:
    query, gallery, weights = images(standin.device, galleries)
    seen, factored, tiles = ridge(
        standin, monkeypatch, lambda: reconstruction_distance(query, gallery, weights)
    )
    # So small a gallery has fewer numbers than a tile of all queries.
    assert (factored, tiles) == (1, 3)
    assert seen.synchronisations <= CALL + FACTOR + 3 * TILE, seen
    assert seen.transfers <= EVERY_SENT, seen


@pytest.mark.parametrize("galleries", [12, 24])
def test_every_pair_in_many_blocks(
    standin: StandInGpu, monkeypatch: pytest.MonkeyPatch, galleries: int
) -> None:
    query, gallery, weights = images(standin.device, galleries)
    seen, factored, tiles = ridge(
        standin,
        monkeypatch,
        lambda: reconstruction_distance(query, gallery, weights, memory_bytes=80_000),
    )
    assert 1 < factored < galleries
    assert seen.synchronisations <= CALL + FACTOR * factored + TILE * tiles, seen
    assert seen.transfers <= EVERY_SENT, seen


@pytest.mark.parametrize("galleries", [12, 24])
def test_columns_that_are_rebuilt_nearly_exactly(
    standin: StandInGpu, monkeypatch: pytest.MonkeyPatch, galleries: int
) -> None:
    query, gallery, weights = images(standin.device, galleries)
    gallery[3] = torch.cat([query[0][:, :4], query[1][:, :4]], 1)
    seen, factored, tiles = ridge(
        standin, monkeypatch, lambda: reconstruction_distance(query, gallery, weights)
    )
    assert (factored, tiles) == (1, 3)
    # Queries 0 and 1 are in two tiles.
    most = CALL + FACTOR + 3 * TILE + 2 * (NEARLY_EXACT + DIRECT)
    assert CALL + FACTOR + 3 * TILE < seen.synchronisations <= most, seen


@pytest.mark.parametrize("kind", ["pairs", "top-k"])
@pytest.mark.parametrize("galleries", [12, 24])
def test_shortlisted_pairs(
    standin: StandInGpu, monkeypatch: pytest.MonkeyPatch, galleries: int, kind: str
) -> None:
    query, gallery, weights = images(standin.device, galleries)
    shortlist = torch.arange(5 * QUERIES).view(QUERIES, 5) * 7 % galleries
    pairs = torch.stack([torch.arange(QUERIES).repeat_interleave(5), shortlist.flatten()], 1)

    def work() -> None:
        if kind == "pairs":
            reconstruction_distance_pairs(query, gallery, pairs, weights)
        else:
            reconstruction_distance_topk(query, gallery, shortlist, weights)

    seen, factored, tiles = ridge(standin, monkeypatch, work)
    assert (factored, tiles) == (1, 1)
    assert seen.synchronisations <= CALL + FACTOR + TILE, seen
    assert seen.transfers <= LISTED_SENT, seen


def test_shortlisted_pairs_in_many_blocks(
    standin: StandInGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, gallery, weights = images(standin.device, 24)
    shortlist = torch.arange(5 * QUERIES).view(QUERIES, 5) * 7 % 24
    seen, factored, tiles = ridge(
        standin,
        monkeypatch,
        lambda: reconstruction_distance_topk(
            query, gallery, shortlist, weights, memory_bytes=80_000
        ),
    )
    assert 1 < factored < 24
    assert seen.synchronisations <= CALL + FACTOR * factored + TILE * tiles, (seen, factored, tiles)
    assert seen.transfers <= LISTED_SENT, seen


def test_a_list_of_pairs_on_the_device_is_fetched_once(standin: StandInGpu) -> None:
    query, gallery, weights = images(standin.device, 12)
    shortlist = (torch.arange(5 * QUERIES).view(QUERIES, 5) % 12).to(standin.device)
    with standin.count() as seen:
        reconstruction_distance_topk(query, gallery, shortlist, weights)
    assert seen.synchronisations <= CALL + FACTOR + TILE + 1, seen


@pytest.mark.parametrize("galleries", [70, 140])
def test_coarse_search(standin: StandInGpu, galleries: int) -> None:
    query, gallery, weights = images(standin.device, galleries)
    gallery = [F.normalize(image, dim=0) for image in gallery]
    features_of = F.normalize(torch.rand(QUERIES + galleries, 16, device=standin.device), dim=1)
    of_gallery = Images(features_of[QUERIES:], gallery, [])
    with standin.count() as seen:
        rough = build_coarse(of_gallery, 8, 0.3)
    assert seen.synchronisations <= COARSE, seen
    assert rough is not None
    asking = Images(features_of[:QUERIES], query, weights)
    with standin.count() as seen:
        assert rough(asking).shape == (QUERIES, galleries)
    assert seen.synchronisations == 0, seen
    # Both distances are fetched from the device, and the galleries' at the end.
    with standin.count() as seen:
        sharded_distances(asking, of_gallery, OneDistance(), topk=3, rough=rough)
    assert seen.synchronisations <= SHORTLIST + 2, seen


class OneDistance:
    """A matcher without any work: what is left are the waits around it."""

    def every(self, query: Images, gallery: Images) -> Tensor:
        return query.features @ gallery.features.T

    def pairs(self, query: Images, gallery: Images, pairs: Tensor) -> Tensor:
        return query.features.new_ones(len(pairs))


@pytest.mark.parametrize("galleries", [3, 6])
def test_lasso(standin: StandInGpu, monkeypatch: pytest.MonkeyPatch, galleries: int) -> None:
    query, gallery, _ = images(standin.device, galleries)
    with calls(monkeypatch, lasso, "_step") as steps, standin.count() as seen:
        lasso_distance(query, gallery, beta=0.1)
    assert len(steps) > 2 * galleries
    most = CALL + LASSO_IMAGE * galleries + LASSO_STEP * len(steps)
    assert seen.synchronisations <= most, seen
    assert seen.transfers <= LASSO_IMAGE_SENT * galleries, seen
