"""The sweep over lambda against the metrics of each fused distance, sorted anew."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from partialreid.metrics import lambda_sweep as module
from partialreid.metrics import ranking
from partialreid.metrics.lambda_sweep import lambda_sweep, swept_queries
from partialreid.metrics.ranking import query_scores, rank_metrics
from tests.metrics.test_ranking import random_ids

FILL = 100.0


def plain_sweep(near, recon, ids, lambdas):
    """Rank-1, mAP and mINP of each lambda by a sort of its whole fused distance."""
    metrics = []
    for value in lambdas:
        fused = (1 - value) * near + value * recon
        assert fused.dtype == np.float32
        found = rank_metrics(fused, *ids)
        metrics.append((found.cmc[0], found.all_AP.mean(), found.all_INP.mean()))
    return np.array(metrics).T


def test_sweep_is_the_metrics_of_each_fused_distance() -> None:
    rng = np.random.default_rng(3)
    ids = random_ids(rng, 40, 70, 9)
    near, recon = rng.random((2, 40, 70), dtype="f4")
    recon[recon > 0.7] = 100
    # numpy's float64 scalars must not widen the arithmetic.
    lambdas = np.array([0.0, 0.33, 0.5, 1.0])
    rank1, m_ap, m_inp = lambda_sweep(near, recon, *ids, list(lambdas))
    for i, value in enumerate(lambdas.tolist()):
        fused = (1 - value) * near + value * recon
        assert fused.dtype == np.float32
        expected = rank_metrics(fused, *ids)
        assert rank1[i] == pytest.approx(expected.cmc[0], abs=1e-6)
        assert m_ap[i] == pytest.approx(expected.all_AP.mean(), abs=1e-12)
        assert m_inp[i] == pytest.approx(expected.all_INP.mean(), abs=1e-12)
    assert rank1[0] != rank1[3]


@pytest.mark.parametrize("fill", [FILL, 1.0])
@pytest.mark.parametrize("keep", [0.3, 0.02, 0.0])
@pytest.mark.parametrize("levels", [8, 1000])
@pytest.mark.parametrize("rows", [60, 7])
def test_one_sort_serves_all_values(
    monkeypatch: pytest.MonkeyPatch, fill: float, keep: float, levels: int, rows: int
) -> None:
    """Ties within the shortlist, behind it, and between both are broken by gallery order."""
    monkeypatch.setattr(module, "BLOCK_ENTRIES", rows * 90)
    rng = np.random.default_rng(levels)
    ids = random_ids(rng, 60, 90, 60)
    near, recon = (rng.integers(0, levels, (2, 60, 90)) / 8).astype("f4")
    recon[rng.random(recon.shape) > keep] = fill
    weights = [0.0, 0.01, 0.125, 0.25, 0.5, 0.75, 0.99, 1.0]
    expected = plain_sweep(near, recon, ids, weights)
    blocks = [slice(start, start + rows) for start in range(0, 60, rows)]
    sweep = (module._sorted_once(b, near, recon, ids, weights, np.float32(fill)) for b in blocks)
    scores = list(itertools.chain.from_iterable(sweep))
    found = np.zeros((3, len(weights), len(near)))
    for which, queries, (first, ap, inp) in scores:
        found[:, which, queries] = first == 0, ap, inp
    queries = np.unique(np.concatenate([queries for _, queries, _ in scores]))
    assert 30 < len(queries) < 60
    np.testing.assert_allclose(found[:, :, queries].mean(2), expected, rtol=1e-6, atol=1e-12)
    swept = np.stack(lambda_sweep(near, recon, *ids, weights))
    np.testing.assert_allclose(swept, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("fill", [FILL, None])
def test_each_query_is_scored_as_by_its_fused_distance(fill: float | None) -> None:
    rng = np.random.default_rng(11)
    ids = random_ids(rng, 30, 50, 20)
    near, recon = rng.random((2, 30, 50), dtype="f4")
    if fill:
        recon[rng.random(recon.shape) > 0.2] = fill
    weights = [0.0, 0.4, 1.0]
    for value, found in zip(weights, swept_queries(near, recon, *ids, weights), strict=True):
        expected = query_scores((1 - value) * near + value * recon, *ids)
        assert found.first.dtype == expected.first.dtype == np.int64
        assert 0 < len(expected.queries) < 30
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_rounding_makes_the_same_ties() -> None:
    """Beside a fill of 100, float32 cannot tell near global distances apart: as when sorted."""
    rng = np.random.default_rng(5)
    ids = random_ids(rng, 50, 400, 12)
    near = (0.5 + 1e-5 * rng.random((50, 400))).astype("f4")
    recon = np.full_like(near, FILL)
    recon[:, :20] = rng.random((50, 20), dtype="f4")
    lambdas = [0.0, 0.2, 0.9, 0.999, 1.0]
    assert len(np.unique(0.1 * near[:, 20:] + 0.9 * FILL)) < 100
    found = np.stack(lambda_sweep(near, recon, *ids, lambdas))
    np.testing.assert_allclose(found, plain_sweep(near, recon, ids, lambdas), rtol=1e-6)


def test_blocks_may_be_shared_by_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit by bit what one thread finds, whoever is ready first; an error is the caller's."""
    monkeypatch.setattr(module, "BLOCK_ENTRIES", 3 * 70)
    monkeypatch.setattr(ranking, "BLOCK_ENTRIES", 3 * 70)
    rng = np.random.default_rng(7)
    ids = random_ids(rng, 40, 70, 9)
    near, recon = rng.random((2, 40, 70), dtype="f4")
    lists = np.where(recon < 0.1, recon, np.float32(FILL))
    found = []
    for threads in (1, 4):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        sweeps = (lambda_sweep(near, second, *ids, [0.3, 0.9]) for second in (recon, lists))
        found.append([*itertools.chain(*sweeps), *query_scores(near, *ids)])
    assert all(np.array_equal(one, several) for one, several in zip(*found, strict=True))

    def failing(block: slice) -> int:
        raise ValueError(f"block {block.start}")

    with pytest.raises(ValueError, match="block 0"):
        ranking.in_blocks(failing, 40, 70, 70)


def test_only_a_shortlist_is_sorted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for name in ("_sorted_anew", "_sorted_once"):
        plain = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args, name=name, plain=plain: called.append(name) or plain(*args)
        )
    rng = np.random.default_rng(6)
    ids = random_ids(rng, 40, 70, 9)
    near, recon = rng.random((2, 40, 70), dtype="f4")
    ways = []
    for beyond in (recon, np.float32(FILL), np.float32(np.inf)):
        lambda_sweep(near, np.where(recon < 0.1, recon, beyond), *ids, [0.5])
        # Threads, as many as the machine has, take a part of the queries each.
        ways.append(set(called))
        called.clear()
    assert ways == [{"_sorted_anew"}, {"_sorted_once"}, {"_sorted_anew"}]


def test_lambda_out_of_range_is_refused() -> None:
    distances = np.zeros((1, 1), dtype="f4")
    with pytest.raises(ValueError, match=r"between 0 and 1, got \[0.5, 1.5\]"):
        lambda_sweep(distances, distances, [1], [1], [0], [1], lambdas=[0.5, 1.5])
