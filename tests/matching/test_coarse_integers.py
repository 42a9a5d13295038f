"""Products of bytes: exact as such, and near those of the numbers that they stand for."""

from __future__ import annotations

import pytest
import torch

from partialreid.matching.coarse import CoarseIndex
from partialreid.matching.coarse_integers import (
    QUERY_LEVELS,
    candidate_distances,
    integer_product,
    leading_numbers,
    query_bytes,
)
from tests.matching.test_coarse import COLUMNS, people, space
from tests.reconstruction_oracle import weights_of


@pytest.mark.parametrize("length", [0, 1, 37, 2080])
@pytest.mark.parametrize(("queries", "galleries"), [(1, 1), (3, 70), (17, 5)])
def test_the_product_is_exact_at_its_largest(length: int, queries: int, galleries: int) -> None:
    generator = torch.Generator().manual_seed(length)
    some = torch.randint(-QUERY_LEVELS, QUERY_LEVELS + 1, (queries, length), generator=generator)
    levels = torch.randint(-127, 128, (galleries, length), generator=generator)
    # All of one sign: nothing may be cut off.
    some[0], levels[0] = QUERY_LEVELS, -127
    got = integer_product(some.to(torch.int8), levels.to(torch.int8))
    assert torch.equal(got.long(), some @ levels.T)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_bytes_of_a_query_are_four_digits(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = (
        torch.randn(6, 50, generator=generator, dtype=dtype) * 10.0 ** torch.arange(-3, 3)[:, None]
    )
    vectors[5] = 0
    high, low = query_bytes(vectors)
    assert high.abs().max() == QUERY_LEVELS >= low.abs().max()
    steps = vectors.abs().amax(1, keepdim=True).double() / QUERY_LEVELS
    value = -candidate_distances(high.double(), low.double()) * steps
    largest = (value - vectors).abs() / steps.clamp(min=1e-30)
    assert largest.max() <= 0.5 / (2 * QUERY_LEVELS) + 1e-4
    alone = (high * steps - vectors).abs() / steps.clamp(min=1e-30)
    assert 0.4 < alone.max() <= 0.5001


def test_leading_numbers_tell_more_than_any_others() -> None:
    gallery, query = people(1, 80, 1.0), people(2, 30, 1.0)
    weights = weights_of(3, 30, COLUMNS)
    index = CoarseIndex(space(gallery, 24, 0.3), gallery)
    vectors = index.space.query_vectors(query, weights)
    codes = index.levels * index.scale[:, None]
    wanted = vectors @ (codes - codes.mean(0)).T

    def left_out(places: torch.Tensor) -> float:
        some = vectors[:, places] @ (codes - codes.mean(0))[:, places].T
        return float((wanted - some).std(1).mean() / wanted.std(1).mean())

    leading, others = leading_numbers(index.space, 100)
    assert torch.equal(torch.cat([leading, others]).sort().values, torch.arange(300))
    generator = torch.Generator().manual_seed(0)
    by_chance = [left_out(torch.randperm(300, generator=generator)[:100]) for _ in range(20)]
    assert left_out(leading) < 0.95 * min(by_chance)
    every, none = leading_numbers(index.space, 500)
    assert len(every) == 300 and len(none) == 0
