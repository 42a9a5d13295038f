"""How many kernels a gallery block starts on a GPU while it is matched: as many as stated here.

By block and tile, and never by image where images have one size: each launch takes the host some
microseconds, in which a GPU multiplies some hundred pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from partialreid.matching.coarse import BLOCK, CoarseIndex
from partialreid.matching.column_store import ColumnStore
from partialreid.matching.columns import Columns
from partialreid.matching.reconstruction import (
    reconstruction_distance,
    reconstruction_distance_topk,
)
from tests.matching.test_coarse import space
from tests.reconstruction_oracle import features, weights_of
from tests.standin.counts import Counts
from tests.standin.gpu import StandInGpu
from tests.standin.test_waits_of_matching import QUERIES, ridge

# Once in a call: buffers, the check of the query columns, numbers of images on the device.
CALL = 12
# In a call for each query: its squared norms are summed up and put into a row, and its weights.
QUERY = 5
# For each block of galleries that is factored: its images are put together and converted, Gram
# matrix, trust, two ridges, two factors, the solution, the projectors, whether a factor failed.
FACTOR = 22
# For each tile of all pairs: queries are gathered and converted, the product, squares and sums;
# norms and weights of the tile, residuals, roots, the weighted sum, its place in the result.
TILE = 16
# For each product of a gallery image with queries that shortlist it: they are gathered and
# converted, multiplied, squared, summed up, and put beside the others.
LISTED = 6
# For each block of the coarse index: images, projection, two inverses, levels and their places.
COARSE = 25

DTYPES = [torch.float32, torch.float16]


@pytest.fixture(params=DTYPES, ids=str)
def stored(
    request: pytest.FixtureRequest, standin: StandInGpu, tmp_path: Path
) -> Iterator[dict[int, Columns]]:
    """Columns of 12 and 24 gallery images and of the queries, as an evaluation stores them."""
    kept = {}
    for images in (QUERIES, 12, 24):
        kept[images] = ColumnStore(1e9, tmp_path, standin.device)
        kept[images].append(features(images, images, 16, 9).to(standin.device, request.param))
    yield kept
    for store in kept.values():
        assert store.bytes_in_file == 0


Counted = Callable[..., tuple[Counts, int, int]]


@pytest.fixture
def counted(
    standin: StandInGpu, monkeypatch: pytest.MonkeyPatch, stored: dict[int, Columns]
) -> Counted:
    """What a distance of all queries to some galleries starts, its blocks and its tiles."""
    weights = weights_of(3, QUERIES, 9).to(standin.device)

    def count(
        distance: Callable[..., Tensor], galleries: int, *listed: Tensor, **options: Any
    ) -> tuple[Counts, int, int]:
        arguments = (stored[QUERIES], stored[galleries], *listed, weights)
        return ridge(standin, monkeypatch, lambda: distance(*arguments, **options))

    return count


@pytest.mark.parametrize("galleries", [12, 24])
def test_every_pair_in_one_block(counted: Counted, galleries: int) -> None:
    seen, factored, tiles = counted(reconstruction_distance, galleries)
    assert factored == 1
    # Twice the images start no kernel more.
    assert seen.launches <= CALL + QUERY * QUERIES + FACTOR + TILE * tiles, seen


def test_every_pair_in_many_blocks(counted: Counted) -> None:
    seen, factored, tiles = counted(reconstruction_distance, 24, memory_bytes=80_000)
    assert 1 < factored < 24
    assert seen.launches <= CALL + QUERY * QUERIES + FACTOR * factored + TILE * tiles, seen


@pytest.mark.parametrize("galleries", [12, 24])
def test_shortlisted_pairs(counted: Counted, galleries: int) -> None:
    shortlist = torch.arange(5 * QUERIES).view(QUERIES, 5) * 7 % galleries
    seen, factored, tiles = counted(reconstruction_distance_topk, galleries, shortlist)
    assert (factored, tiles) == (1, 1)
    products = sum(n for (name, _), n in seen.kernels.items() if name == "aten::mm")
    # Queries share a product where they share an image.
    assert products < shortlist.numel()
    assert seen.launches <= CALL + QUERY * QUERIES + FACTOR + TILE + LISTED * products, seen


def test_shortlisted_pairs_in_many_blocks(counted: Counted) -> None:
    shortlist = torch.arange(5 * QUERIES).view(QUERIES, 5) * 7 % 24
    few = {"memory_bytes": 80_000}
    seen, factored, tiles = counted(reconstruction_distance_topk, 24, shortlist, **few)
    assert 1 < factored < 24
    products = sum(n for (name, _), n in seen.kernels.items() if name == "aten::mm")
    most = CALL + QUERY * QUERIES + FACTOR * factored + TILE * tiles + LISTED * products
    assert seen.launches <= most, (seen.launches, most, factored, tiles, products)


def test_coarse_index(standin: StandInGpu, tmp_path: Path) -> None:
    gallery = F.normalize(features(1, 2 * BLOCK, 16, 9), dim=1)
    of_gallery = space(gallery, 8, 0.3)
    on_device = of_gallery._replace(
        basis=of_gallery.basis.to(standin.device), mean=of_gallery.mean.to(standin.device)
    )
    launches = []
    for images in (BLOCK // 2, BLOCK, 2 * BLOCK):
        with ColumnStore(1e9, tmp_path, standin.device) as store:
            store.append(gallery[:images].half().to(standin.device))
            with standin.count() as seen:
                CoarseIndex(on_device, store)
        launches.append(seen.launches)
    half, one, two = launches
    assert half == one, seen
    assert two - one <= COARSE, seen
