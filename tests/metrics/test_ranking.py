"""Ranking metrics against FastReID's, on hand-made rankings and on the conformance vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fastreid.evaluation.rank import evaluate_rank

from partialreid.matching.reconstruction import reconstruction_distance_topk
from partialreid.metrics import ranking
from partialreid.metrics.lambda_sweep import lambda_sweep
from partialreid.metrics.ranking import (
    NoMatchError,
    query_metrics,
    query_scores,
    rank_metrics,
)
from tests.conformance_columns import recorded_evaluation

LAMBDAS = [0.01 * i for i in range(101)]


def distinct_distances(rng: np.random.Generator, queries: int, galleries: int) -> np.ndarray:
    """Distances of both signs without ties in a row, so that every sort gives one order."""
    row = (np.arange(galleries, dtype=np.float32) - galleries / 3) * np.float32(0.37)
    return rng.permuted(np.tile(row, (queries, 1)), axis=1)


def random_ids(rng: np.random.Generator, queries: int, galleries: int, ids: int, cams: int = 4):
    sizes = (queries, galleries)
    return (
        *(rng.integers(0, ids, size) for size in sizes),
        *(rng.integers(0, cams, size) for size in sizes),
    )


@pytest.mark.parametrize("galleries", [51, 64, 127, 128, 129, 400])
@pytest.mark.parametrize("ids", [1, 7, 60])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_equals_fastreid_to_the_last_digit(galleries: int, ids: int, dtype: str) -> None:
    rng = np.random.default_rng(galleries + ids)
    # One identity and one camera would leave nothing; more identities leave queries unmatched.
    args = (
        distinct_distances(rng, 23, galleries).astype(dtype),
        *random_ids(rng, 23, galleries, ids),
    )
    max_rank = galleries // 4
    cmc, all_ap, all_inp = evaluate_rank(*args, max_rank, use_cython=False)
    ours = rank_metrics(*args, max_rank)
    assert ours.cmc.dtype == np.float32
    np.testing.assert_array_equal(ours.cmc, cmc)
    np.testing.assert_array_equal(ours.all_AP, all_ap)
    np.testing.assert_array_equal(ours.all_INP, all_inp)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_ties_rank_in_gallery_order(dtype: str) -> None:
    rng = np.random.default_rng(5)
    tied = rng.integers(-3, 4, (40, 90)).astype(dtype)
    tied[tied == 0] *= -1  # some zeros are negative
    tied[::2] = np.abs(tied[::2])
    args = random_ids(rng, 40, 90, 8)
    order = np.argsort(tied, axis=1, kind="stable")
    places = np.empty_like(tied)
    np.put_along_axis(places, order, np.arange(90, dtype=dtype)[None], axis=1)
    _, all_ap, all_inp = evaluate_rank(places, *args, 20, use_cython=False)
    ours = rank_metrics(tied, *args, 20)
    np.testing.assert_array_equal(ours.all_AP, all_ap)
    np.testing.assert_array_equal(ours.all_INP, all_inp)


def test_hand_computed_ranking() -> None:
    # Ranked: junk (same camera), wrong, right, wrong, right; the second query has no match.
    distances = [[0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5]]
    cmc, all_ap, all_inp = rank_metrics(
        distances, [1, 9], [1, 2, 1, 3, 1], [0, 0], [0, 1, 1, 1, 2], 3
    )
    assert cmc.tolist() == [0, 1, 1]
    assert all_ap.tolist() == [(1 / 2 + 2 / 4) / 2]
    assert all_inp.tolist() == [2 / 4]


def test_cmc_of_a_short_gallery_keeps_its_last_value() -> None:
    cmc = rank_metrics([[0.2, 0.1]], [1], [1, 2], [0], [1, 1], max_rank=5).cmc
    assert cmc.tolist() == [0, 1, 1, 1, 1]


def test_tensors_and_arrays_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    args = (rng.random((31, 57), dtype="f4"), *random_ids(rng, 31, 57, 6))
    whole = rank_metrics(*args)
    monkeypatch.setattr(ranking, "BLOCK_ENTRIES", 100)
    for one, other in zip(whole, rank_metrics(*(torch.from_numpy(x) for x in args))):
        np.testing.assert_array_equal(one, other)


def test_bad_input_is_named() -> None:
    good = {"q_pids": [1, 2], "g_pids": [1, 2, 3], "q_camids": [0, 0], "g_camids": [1, 1, 1]}
    distances = np.zeros((2, 3), dtype="f4")
    with pytest.raises(ValueError, match=r"\(3, 2\) do not fit 2 query and 3 gallery"):
        rank_metrics(distances.T, **good)
    with pytest.raises(ValueError, match="do not fit"):
        rank_metrics(distances, **{**good, "g_camids": [1]})
    with pytest.raises(ValueError, match="NaN"):
        rank_metrics(np.full((2, 3), np.nan), **good)
    for bad in ({**good, "q_pids": [8, 9]}, {**good, "g_camids": [0, 0, 0]}):
        with pytest.raises(NoMatchError, match="none of the 2 queries has a match"):
            rank_metrics(distances, **bad)
        with pytest.raises(ValueError, match="none of the 2 queries has a match"):
            lambda_sweep(distances, distances, lambdas=[0.5], **bad)
    with pytest.raises(ValueError, match="none of the 2 queries has a match"):
        rank_metrics(distances[:, :0], [1, 2], [], [0, 0], [])


def test_scores_of_single_queries() -> None:
    """Each query alone has the score that it has among others, and its rank is counted from 0."""
    rng = np.random.default_rng(11)
    distances = distinct_distances(rng, 30, 40)
    q_pids, g_pids, q_camids, g_camids = random_ids(rng, 30, 40, 25)
    scores = query_scores(distances, q_pids, g_pids, q_camids, g_camids)
    alone = []
    for i in range(30):
        order = distances[i].argsort()
        order = order[(g_pids[order] != q_pids[i]) | (g_camids[order] != q_camids[i])]
        places = np.flatnonzero(g_pids[order] == q_pids[i])
        if len(places):
            ap = np.mean((np.arange(len(places)) + 1) / (places + 1))
            alone.append((i, places[0], ap, len(places) / (places[-1] + 1)))
    assert 5 < len(alone) < 30
    for ours, expected in zip(scores, zip(*alone), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_the_mean_over_queries_is_the_metric() -> None:
    rng = np.random.default_rng(12)
    args = (rng.random((50, 80), dtype="f4"), *random_ids(rng, 50, 80, 30))
    cmc, all_ap, all_inp = rank_metrics(*args)
    metrics = query_metrics(query_scores(*args))
    means = {name: values.mean() for name, values in metrics.items()}
    expected = {f"Rank-{r}": 100 * cmc[r - 1] for r in (1, 5, 10)}
    expected |= {"mAP": 100 * all_ap.mean(), "mINP": 100 * all_inp.mean()}
    assert list(means) == list(expected)
    assert means == pytest.approx(expected, abs=1e-4)
    assert 0 < means["Rank-1"] < means["Rank-5"] < means["Rank-10"] < 100


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    """The recorded evaluation, with its distance matrices recomputed."""
    stored, columns = recorded_evaluation()
    n, pids, cams = int(stored["num_query"]), stored["pids"], stored["camids"]
    columns = F.normalize(columns, dim=1)
    features = F.normalize(torch.from_numpy(stored["global_feat"]), dim=1)
    near = 1 - features[:n] @ features[n:].T
    shortlist = near.sort(dim=1, stable=True).indices[:, :100]
    weights = torch.from_numpy(stored["scores"])[:n]
    found = reconstruction_distance_topk(columns[:n], columns[n:], shortlist, weights)
    stored["near"] = near.numpy()
    stored["recon"] = torch.full_like(near, 100.0).scatter_(1, shortlist, found).numpy()
    stored["ids"] = (pids[:n], pids[n:], cams[:n], cams[n:])
    return stored


def test_recorded_ranks(recorded: dict) -> None:
    near, recon, ids = (recorded[k] for k in ("near", "recon", "ids"))
    best = float(recorded["oracle_lambda"])
    for distances, prefix in ((near, "global_only"), ((1 - best) * near + best * recon, "result")):
        cmc = rank_metrics(distances, *ids).cmc
        for rank in (1, 5, 10):
            assert 100 * cmc[rank - 1] == pytest.approx(recorded[f"{prefix}/Rank-{rank}"], abs=1e-3)
    rank1, _, _ = lambda_sweep(near, recon, *ids, LAMBDAS)
    # At most one query of the 71 stands otherwise, and at few values of lambda: see below.
    assert np.abs(rank1 - recorded["sweep_rank1"]).max() < 1.5 / 71
    assert np.sum(np.abs(rank1 - recorded["sweep_rank1"]) > 1e-5) <= 2
    assert LAMBDAS[int(rank1.argmax())] == pytest.approx(best)


def test_recorded_precision(recorded: dict) -> None:
    """mAP of the sweep, up to the order of distances that float32 cannot tell apart.

    Global distances of this set differ by a few units in their last place, and the fill value
    of 100 rounds those that were not reconstructed to ties, whose order depends on the sort, on
    the processor and on the version of torch, whose products round otherwise. Moving every match
    by that rounding, nearer and farther, bounds the metrics.
    """
    near, recon, ids = (recorded[k] for k in ("near", "recon", "ids"))
    match = ids[0][:, None] == ids[1]
    _, m_ap, m_inp = lambda_sweep(near, recon, *ids, LAMBDAS)
    widths = []
    for i, value in enumerate(LAMBDAS):
        fused = ((1 - value) * near + value * recon).astype("f8")
        rounding = 4e-7 * (1 - value) + 4e-6 * value + 4e-7 * fused
        low, high = (
            np.array(
                [
                    metric.mean()
                    for metric in rank_metrics(fused + sign * rounding * match, *ids)[1:]
                ]
            )
            for sign in (1, -1)
        )
        widths.append(high[0] - low[0])
        assert low[0] - 1e-5 <= recorded["sweep_map"][i] <= high[0] + 1e-5
        assert low[0] <= m_ap[i] <= high[0]
        for key, at in (
            ("global_only", 0),
            ("result", round(100 * float(recorded["oracle_lambda"]))),
        ):
            if i == at:
                assert low[1] - 1e-5 <= recorded[f"{key}/mINP"] / 100 <= high[1] + 1e-5
                assert m_inp[i] == pytest.approx(recorded[f"{key}/mINP"] / 100, abs=1e-4)
                assert m_ap[i] == pytest.approx(recorded[f"{key}/mAP"] / 100, abs=3e-5)
    # The bounds say something: most are narrow beside the spread of mAP over lambda.
    assert np.median(widths) < 0.1 * np.ptp(recorded["sweep_map"])
    apart = np.abs(m_ap - recorded["sweep_map"])
    assert np.all(apart <= np.maximum(5e-4, widths)) and np.median(apart) < 5e-5
