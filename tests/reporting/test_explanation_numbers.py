"""The numbers of an explanation: what is printed adds up, what is linked is the strongest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from partialreid.matching.explained import Explained, explained_pair
from partialreid.matching.windows import pyramid_patches
from partialreid.reporting.explanation_numbers import (
    balance,
    bands,
    by_patch,
    leanings,
    rounded_parts,
    strongest,
)
from tests.reconstruction_oracle import features, weights_of

PATCHES = pyramid_patches(11, 8)
COLUMNS = len(PATCHES.cover)


def pairs(seed: int = 0) -> list[Explained]:
    """One query and two gallery images."""
    query, weights = features(seed, 1, 48, COLUMNS)[0], weights_of(seed, 1, COLUMNS)[0]
    return [explained_pair(query, features(n, 1, 48, 20)[0], weights) for n in (1, 2)]


def test_the_shares_of_patches_are_the_distance() -> None:
    for pair in pairs():
        assert by_patch(pair.shares, PATCHES).sum() == pytest.approx(pair.distance, abs=1e-12)


def test_two_pairs_lean_against_each_other_by_their_difference() -> None:
    first, second = pairs()
    one, other = leanings([first, second])
    assert by_patch(one, PATCHES).sum() == pytest.approx(first.distance - second.distance)
    assert torch.equal(one, -other)
    wanted = first.weights * (first.residuals - second.residuals)
    torch.testing.assert_close(one, wanted)


def test_a_pair_that_is_alone_is_compared_with_its_average() -> None:
    (pair, _) = pairs()
    (alone,) = leanings([pair])
    wanted = pair.weights * (pair.residuals - pair.distance)
    torch.testing.assert_close(alone, wanted, atol=1e-8, rtol=1e-6)
    assert by_patch(alone, PATCHES).sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_rounded_colours_less_each_other_are_the_rounded_difference(seed: int) -> None:
    two = pairs(seed)
    distances = two[0].distance, two[1].distance
    leaning = leanings(two)[0]
    against, speaking_for = balance(leaning, PATCHES, distances)
    rounded = [round(distance, 4) for distance in distances]
    assert round(rounded[1] + against - speaking_for, 4) == rounded[0]
    exact = PATCHES.spread(leaning)
    assert against == pytest.approx(exact.clamp(min=0).sum().item(), abs=1.5e-4)
    assert speaking_for == pytest.approx(-exact.clamp(max=0).sum().item(), abs=1.5e-4)
    assert min(against, speaking_for) >= 0


def test_colours_are_never_less_than_nothing() -> None:
    """Where all speaks for a candidate, and rounding would have a little speak against it."""
    leaning = torch.full((COLUMNS,), -0.0001 / COLUMNS, dtype=torch.float64)
    assert balance(leaning, PATCHES, (0.10004, 0.10014)) == (0.0, 0.0001)
    assert balance(-leaning, PATCHES, (0.10016, 0.10004)) == (0.0002, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_rounded_parts_add_up(seed: int) -> None:
    parts = np.random.default_rng(seed).random(1 + seed) / (1 + seed)
    rounded = rounded_parts(list(parts))
    assert round(sum(rounded), 4) == round(float(parts.sum()), 4)
    assert np.abs(np.array(rounded) - parts).max() < 1e-4


@pytest.mark.parametrize(("rows", "most", "count"), [(8, 20, 8), (8, 8, 8), (9, 8, 5), (7, 1, 1)])
def test_bands_hold_all_rows_once(rows: int, most: int, count: int) -> None:
    shares = np.random.default_rng(0).random((rows, 3)) / 10
    found = bands(shares, most)
    assert len(found) == count
    assert [row for first, last, _ in found for row in range(first, last)] == list(range(rows))
    for first, last, share in found:
        assert share == pytest.approx(shares[first:last].sum(), abs=1e-4)
    assert round(sum(share for *_, share in found), 4) == round(float(shares.sum()), 4)


def test_the_strongest_link_of_each_patch_in_order() -> None:
    links = np.array([[0.1, 0.0, 0.5, 0.0], [0.3, 0.0, 0.2, 0.4]])
    assert strongest(links) == [(2, 0, 0.5), (3, 1, 0.4), (0, 1, 0.3)]
    assert strongest(links, 1) == [(2, 0, 0.5)]
    assert len(strongest(np.random.default_rng(0).random((9, 40)))) == 12
