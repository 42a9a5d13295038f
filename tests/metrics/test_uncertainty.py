"""Bootstrap intervals against a plain loop, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from partialreid.metrics.ranking import query_metrics, query_scores
from partialreid.metrics.uncertainty import bootstrap_intervals


def test_equals_a_loop_over_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    q_pids = rng.choice([3, 8, -1, 40, 41, 42, 7], 60)
    per_query = {"Rank-1": 100.0 * rng.integers(0, 2, 60), "mAP": rng.random(60)}
    identities, rounds, level = np.unique(q_pids), 50, 0.9
    draws = np.random.default_rng(9).integers(0, len(identities), (rounds, len(identities)))
    ours = bootstrap_intervals(per_query, q_pids, seed=9, rounds=rounds, level=level)
    assert list(ours) == list(per_query)
    for name, values in per_query.items():
        means = []
        for draw in draws:
            taken = [value for i in draw for value in values[q_pids == identities[i]]]
            means.append(sum(taken) / len(taken))
        expected = np.percentile(means, [5, 95])
        np.testing.assert_allclose(ours[name], expected, rtol=1e-12)
        assert ours[name][0] < values.mean() < ours[name][1]


def test_seed_and_level() -> None:
    rng = np.random.default_rng(1)
    values, q_pids = {"mAP": rng.random(90)}, rng.integers(0, 30, 90)
    one = bootstrap_intervals(values, q_pids, seed=1)
    assert bootstrap_intervals(values, torch.from_numpy(q_pids), seed=1) == one
    assert bootstrap_intervals(values, q_pids, seed=2) != one
    low, high = one["mAP"]
    narrow = bootstrap_intervals(values, q_pids, seed=1, level=0.5)["mAP"]
    assert low < narrow[0] < narrow[1] < high


def test_coverage() -> None:
    """Persons of unequal difficulty: 95 % intervals hold the truth, those of queries do not."""
    rng = np.random.default_rng(2)
    identities, shots, trials = 60, 6, 300
    q_pids = np.arange(identities).repeat(shots)
    held = {"identities": 0, "queries": 0}
    for trial in range(trials):
        difficulty = rng.beta(0.6, 0.6, identities)  # its mean, the true rate, is one half
        right = rng.random(len(q_pids)) < difficulty.repeat(shots)
        for name, groups in (("identities", q_pids), ("queries", np.arange(len(q_pids)))):
            found = bootstrap_intervals({"Rank-1": right}, groups, seed=trial, rounds=200)
            low, high = found["Rank-1"]
            held[name] += low <= 0.5 <= high
    assert 0.90 <= held["identities"] / trials <= 0.985
    assert held["queries"] / trials < 0.80


def test_metrics_of_a_ranking() -> None:
    rng = np.random.default_rng(3)
    q_pids, g_pids = rng.integers(0, 40, 80), rng.integers(0, 40, 100)
    distances = rng.random((80, 100)) - 0.3 * (q_pids[:, None] == g_pids)
    scores = query_scores(distances, q_pids, g_pids, np.zeros(80), np.ones(100))
    metrics = query_metrics(scores)
    intervals = bootstrap_intervals(metrics, q_pids[scores.queries], seed=0)
    assert list(intervals) == ["Rank-1", "Rank-5", "Rank-10", "mAP", "mINP"]
    for name, (low, high) in intervals.items():
        assert 0 <= low < metrics[name].mean() < high <= 100


def test_one_identity_has_no_interval() -> None:
    assert bootstrap_intervals({"mAP": [0.1, 0.9, 0.4]}, [5, 5, 5], seed=0) == {}


def test_equal_identities_have_an_interval_of_no_width() -> None:
    found = bootstrap_intervals({"mAP": [0.25, 0.75, 0.25, 0.75]}, [1, 1, 2, 2], seed=0)
    assert found == {"mAP": (0.5, 0.5)}


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="no query"):
        bootstrap_intervals({"mAP": []}, [], seed=0)
    with pytest.raises(ValueError, match="mAP must hold a number for each of the 3 queries"):
        bootstrap_intervals({"mAP": [0.1, 0.2]}, [1, 2, 3], seed=0)
    with pytest.raises(ValueError, match="mAP must hold a number"):
        bootstrap_intervals({"mAP": [0.1, np.nan]}, [1, 2], seed=0)
    for changes in ({"rounds": 0}, {"level": 1.0}, {"level": 0.0}):
        with pytest.raises(ValueError, match="from 1 round, and between 0 and 1"):
            bootstrap_intervals({"mAP": [0.1, 0.2]}, [1, 2], seed=0, **changes)
