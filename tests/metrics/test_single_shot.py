"""The single-shot protocol: what is drawn, who is left out, and what is reported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from partialreid.metrics.ranking import rank_metrics
from partialreid.metrics.single_shot import persons, single_shot

METRICS = ["Rank-1", "Rank-5", "Rank-10", "mAP", "mINP"]


def case(seed: int = 0, queries: int = 40, galleries: int = 150, identities: int = 20):
    """Distances that know a little, and ids from 1 in three cameras."""
    rng = np.random.default_rng(seed)
    q_pids = rng.integers(1, identities + 1, queries)
    g_pids = np.concatenate(
        [np.arange(1, identities + 1), rng.integers(1, identities + 1, galleries - identities)]
    )
    distances = rng.random((queries, galleries)) - 0.2 * (q_pids[:, None] == g_pids)
    return distances, [q_pids, g_pids, rng.integers(0, 3, queries), rng.integers(0, 3, galleries)]


def test_one_image_for_each_identity_is_the_full_protocol() -> None:
    distances, (q_pids, _, q_camids, g_camids) = case()
    ids = [q_pids, np.arange(1, 151), q_camids, g_camids]
    found = single_shot(distances, *ids, seed=0, rounds=3)
    cmc, all_ap, all_inp = rank_metrics(distances, *ids)
    whole = [*(100 * cmc[r - 1] for r in (1, 5, 10)), 100 * all_ap.mean(), 100 * all_inp.mean()]
    assert list(found.metrics) == METRICS
    for (mean, deviation), expected in zip(found.metrics.values(), whole):
        assert mean == pytest.approx(expected, abs=1e-4)
        assert deviation == 0
    assert found.gallery == 150
    same_camera = np.array([g_camids[pid - 1] for pid in q_pids]) == q_camids
    assert found.dropped == same_camera.sum() > 0


def test_mean_and_deviation_are_those_of_all_possible_draws() -> None:
    """Two identities of 2 and 3 images: six galleries, each as likely."""
    distances = np.array([[0.1, 0.9, 0.5, 0.05, 0.95], [0.4, 0.2, 0.3, 0.1, 0.6]])
    ids = [[1, 2], [1, 1, 2, 2, 2], [0, 0], [1, 1, 1, 1, 1]]
    rank1 = [
        50.0 * (int(distances[0, a] < distances[0, b]) + int(distances[1, b] < distances[1, a]))
        for a in (0, 1)
        for b in (2, 3, 4)
    ]
    found = single_shot(distances, *ids, seed=1, rounds=2000)
    mean, deviation = found.metrics["Rank-1"]
    assert 0 < np.mean(rank1) < 100
    assert mean == pytest.approx(np.mean(rank1), abs=4 * np.std(rank1) / np.sqrt(2000))
    assert deviation == pytest.approx(np.std(rank1), rel=0.06)
    assert (found.gallery, found.dropped) == (2, 0)


def test_a_round_against_a_loop() -> None:
    """Metrics of every round from one gallery image at random; the rounds' mean is near it."""
    distances, (q_pids, g_pids, q_camids, g_camids) = case(seed=3)
    rng = np.random.default_rng(8)
    rank1, map_, dropped = [], [], []
    for _ in range(400):
        drawn = [rng.choice(np.flatnonzero(g_pids == pid)) for pid in np.unique(g_pids)]
        places = []
        for i, pid in enumerate(q_pids):
            right = drawn[pid - 1]
            if g_camids[right] != q_camids[i]:
                places.append(sum(distances[i, j] < distances[i, right] for j in drawn))
        rank1.append(100 * np.mean(np.array(places) == 0))
        map_.append(100 * np.mean(1 / (np.array(places) + 1)))
        dropped.append(len(q_pids) - len(places))
    found = single_shot(distances, q_pids, g_pids, q_camids, g_camids, seed=2, rounds=400)
    for name, values in (("Rank-1", rank1), ("mAP", map_)):
        mean, deviation = found.metrics[name]
        assert mean == pytest.approx(np.mean(values), abs=5 * np.std(values) * np.sqrt(2 / 400))
        assert deviation == pytest.approx(np.std(values), rel=0.2)
    assert found.metrics["mINP"] == found.metrics["mAP"]
    assert found.dropped == pytest.approx(np.mean(dropped), abs=1)
    assert found.dropped > 5


def test_seed() -> None:
    distances, ids = case()
    one = single_shot(distances, *ids, seed=5)
    assert single_shot(torch.from_numpy(distances), *map(torch.from_numpy, ids), seed=5) == one
    assert single_shot(distances, *ids, seed=6) != one


def test_distractors_are_left_out() -> None:
    distances, (q_pids, g_pids, q_camids, g_camids) = case()
    ids = [q_pids, np.r_[g_pids, 0, 0, -1], q_camids, np.r_[g_camids, 1, 1, 1]]
    nearer = np.c_[distances, np.full((len(q_pids), 3), -9.0)]
    found = single_shot(nearer, *ids, seed=0)
    assert found == single_shot(distances, q_pids, g_pids, q_camids, g_camids, seed=0)
    assert rank_metrics(nearer, *ids).cmc[0] == 0


def test_persons_counted_from_zero_are_kept() -> None:
    assert persons([0, 3, -1, 0, 2], [2, 3]).tolist() == [1, 4]
    assert persons([0, 3, -1, 0, 2], [0, 3]).tolist() == [0, 1, 3, 4]


def test_bad_input_is_named() -> None:
    distances, ids = case()
    with pytest.raises(ValueError, match="at least 2 rounds, not 1"):
        single_shot(distances, *ids, seed=0, rounds=1)
    with pytest.raises(ValueError, match="do not fit"):
        single_shot(distances.T, *ids, seed=0)
    with pytest.raises(ValueError, match="round 0 no query has a match under another camera"):
        single_shot(distances, *ids[:2], np.ones(40), np.ones(150), seed=0)


def test_curve_is_the_mean_over_the_rounds() -> None:
    distances, ids = case(seed=5)
    found = single_shot(distances, *ids, seed=2, rounds=7, max_rank=30)
    assert len(found.cmc) == 30
    assert (np.diff(found.cmc) >= 0).all()
    for rank in (1, 5, 10):
        assert 100 * found.cmc[rank - 1] == pytest.approx(found.metrics[f"Rank-{rank}"][0])
    # 20 identities: the match is among the first 20.
    assert found.cmc[19] == found.cmc[29] == 1
    assert found.cmc[0] < found.cmc[9] < 1
