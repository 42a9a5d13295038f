"""Lambda is chosen without the queries that are ranked with it, and a leak would be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from partialreid.metrics.fusion import fuse
from partialreid.metrics.lambda_selection import (
    CrossFit,
    LambdaCurve,
    crossfit,
    halves_of_identities,
    lambda_curve,
    mean_curve,
)
from partialreid.metrics.lambda_sweep import lambda_sweep
from partialreid.metrics.ranking import rank_metrics

LAMBDAS = [0.0, 0.25, 0.5, 0.75, 1.0]
SEED = 4
Fit = Callable[..., CrossFit]


def noise(rng: np.random.Generator, identities: int = 12, shots: int = 3):
    """Distances that know nothing of the identities, and ids in two cameras."""
    pids = np.repeat(np.arange(identities), shots)
    near, recon = rng.random((2, len(pids), len(pids)), dtype="f4")
    zeros = np.zeros(len(pids), dtype=int)
    return near, recon, [pids, pids, zeros, zeros + 1]


def rank1_of(distances: np.ndarray, ids: list[np.ndarray]) -> float:
    return float(rank_metrics(distances, *ids).cmc[0])


@pytest.mark.parametrize("identities", [2, 3, 10, 11])
def test_halves(identities: int) -> None:
    pids = np.random.default_rng(0).permutation(np.arange(identities).repeat(3)) * 7 - 5
    half = halves_of_identities(pids, SEED)
    per_identity = [set(half[pids == pid]) for pid in np.unique(pids)]
    assert all(len(halves) == 1 for halves in per_identity)
    ones = sum(halves == {1} for halves in per_identity)
    assert ones == identities // 2
    # The same identities, however often and in whatever order, are halved alike.
    again = halves_of_identities(torch.from_numpy(pids[::-1].copy()), SEED)
    np.testing.assert_array_equal(again[::-1], half)


def test_halves_depend_on_the_seed() -> None:
    pids = np.arange(20)
    assert len({tuple(halves_of_identities(pids, seed)) for seed in range(5)}) == 5


def test_best_lambda_and_its_ties() -> None:
    def best(rank1, m_ap, lambdas=(0.5, 0.1, 0.3)):
        return LambdaCurve(lambdas, np.array(rank1), np.array(m_ap), np.zeros(3)).best

    assert best([0.7, 0.9, 0.8], [0.9, 0.1, 0.2]) == 0.1
    assert best([0.9, 0.1, 0.9], [0.4, 0.9, 0.5]) == 0.3
    assert best([0.9, 0.9, 0.9], [0.4, 0.4, 0.4]) == 0.1


def test_ties_of_a_mean_are_ties() -> None:
    """The same hits of three sets in another order: 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1."""
    ones, others = [0.1, 0.2, 0.3], [0.3, 0.2, 0.1]
    assert sum(ones) > sum(others)
    curves = [
        LambdaCurve((0.2, 0.8), np.array(pair), np.array([0.5, 0.9]), np.zeros(2))
        for pair in zip(ones, others, strict=True)
    ]
    assert mean_curve(curves).best == 0.8


def test_each_half_is_ranked_with_the_other_halfs_best() -> None:
    near, recon, ids = noise(np.random.default_rng(1))
    found = crossfit(near, recon, *ids, LAMBDAS, SEED)
    best = []
    for number in (0, 1):
        rows = found.half == number
        halved = [ids[0][rows], ids[1], ids[2][rows], ids[3]]
        rank1, m_ap, _ = lambda_sweep(near[rows], recon[rows], *halved, LAMBDAS)
        np.testing.assert_array_equal(found.curves[number].rank1, rank1)
        np.testing.assert_array_equal(found.curves[number].m_ap, m_ap)
        best.append(LAMBDAS[np.lexsort((m_ap, rank1))[-1]])
    assert best[0] != best[1]
    assert found.lambdas == (best[1], best[0])
    # Bit by bit what a fixed lambda gives.
    for number in (0, 1):
        rows = torch.from_numpy(found.half == number)
        fixed = fuse(torch.from_numpy(near), torch.from_numpy(recon), found.lambdas[number])
        torch.testing.assert_close(torch.from_numpy(found.fused)[rows], fixed[rows], rtol=0, atol=0)


def own_labels_change_own_lambda(fit: Fit) -> bool:
    """Whether lambda of a half moves with the labels, or the distances, of that very half."""
    near, recon, ids = noise(np.random.default_rng(2))
    before = fit(near, recon, *ids, LAMBDAS, SEED)
    moved = False
    for number in (0, 1):
        own = np.unique(ids[0][before.half == number])
        for trial in range(10):
            rng = np.random.default_rng(trial)
            names = np.arange(ids[0].max() + 1)
            names[own] = rng.permutation(own)
            # Queries alone get the new names: who matches whom is another question then.
            relabelled = [names[ids[0]], *ids[1:]]
            after = fit(near, recon, *relabelled, LAMBDAS, SEED)
            np.testing.assert_array_equal(after.half, before.half)
            moved |= after.lambdas[number] != before.lambdas[number]
            gallery = [ids[0], names[ids[1]], *ids[2:]]
            after = fit(near, recon, *gallery, LAMBDAS, SEED)
            moved |= after.lambdas[number] != before.lambdas[number]
            others = near.copy()
            others[before.half == number] = rng.random(others[before.half == number].shape)
            after = fit(others, recon, *ids, LAMBDAS, SEED)
            moved |= after.lambdas[number] != before.lambdas[number]
    return moved


def leaky(near: np.ndarray, recon: np.ndarray, *rest: Any) -> CrossFit:
    """What `crossfit` would be if each half chose its own lambda: the tests must notice."""
    found = crossfit(near, recon, *rest)
    own = (found.curves[0].best, found.curves[1].best)
    weight = np.array(own)[found.half][:, None]
    return found._replace(lambdas=own, fused=(1 - weight) * near + weight * recon)


def test_labels_of_a_half_never_reach_its_own_lambda() -> None:
    assert not own_labels_change_own_lambda(crossfit)
    assert own_labels_change_own_lambda(leaky)


def test_a_leak_raises_the_numbers_of_noise() -> None:
    """From distances that know nothing, an honest choice gives chance, and hindsight more."""
    cases = [noise(np.random.default_rng(100 + i)) for i in range(60)]
    lambdas = np.linspace(0, 1, 21).tolist()

    def mean_rank1(fit: Fit) -> float:
        fitted = [fit(*case[:2], *case[2], lambdas, SEED).fused for case in cases]
        return float(np.mean([rank1_of(f, case[2]) for f, case in zip(fitted, cases)]))

    chance = 1 / 12  # of 36 images 3 are right
    deviation = np.sqrt(chance * (1 - chance) / (36 * len(cases)))
    assert abs(mean_rank1(crossfit) - chance) < 4 * deviation
    assert mean_rank1(leaky) > chance + 8 * deviation


def test_a_real_difference_is_found() -> None:
    near, recon, ids = noise(np.random.default_rng(3))
    recon -= 2 * (ids[0][:, None] == ids[1])
    found = crossfit(near, recon, *ids, LAMBDAS, SEED)
    assert rank1_of(found.fused, ids) == 1 > rank1_of(near, ids)
    assert min(found.lambdas) > 0


def test_tensors_and_arrays_agree() -> None:
    near, recon, ids = noise(np.random.default_rng(5))
    one = crossfit(near, recon, *ids, LAMBDAS, SEED)
    tensors = [torch.from_numpy(x) for x in (near, recon, *ids)]
    other = crossfit(*tensors, LAMBDAS, SEED)
    assert one.lambdas == other.lambdas
    np.testing.assert_array_equal(one.fused, other.fused)


def test_bad_input_is_named() -> None:
    near, recon, ids = noise(np.random.default_rng(6), identities=4)
    with pytest.raises(ValueError, match=r"two identities, there are 1.*LAMBDA_SELECTION"):
        crossfit(near[:3], recon[:3], ids[0][:3], ids[1], ids[2][:3], ids[3], LAMBDAS, SEED)
    half = halves_of_identities(ids[0], SEED)
    hidden = ids[3].copy()
    hidden[half == 1] = 0  # in the camera of the queries
    with pytest.raises(ValueError, match="half 1 of the identities, where no query has a match"):
        crossfit(near, recon, *ids[:3], hidden, LAMBDAS, SEED)
    with pytest.raises(ValueError, match="no lambda"):
        lambda_curve(near, recon, *ids, [])
    with pytest.raises(ValueError, match=r"\(12, 11\) do not fit"):
        crossfit(near, recon[:, :-1], *ids, LAMBDAS, SEED)
    with pytest.raises(ValueError, match="NaN"):
        crossfit(near, np.full_like(recon, np.nan), *ids, LAMBDAS, SEED)
