"""A fusion that is measured on half of the people was learnt on the other half alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.fusion import fusions, isotonic, learnt_on, logistic
from partialreid.metrics.ranking import query_metrics, query_scores

SETTINGS = SimpleNamespace(
    TEST=SimpleNamespace(DSR=SimpleNamespace(LAMBDA_STEP=0.05, PROTOCOL_SEED=0))
)
PEOPLE, GALLERIES = 40, 160


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    """Distances (Q, G) that tell a little each, and ids; the last galleries are not shortlisted."""
    rng = np.random.default_rng(seed)
    q_pids, g_pids = np.arange(PEOPLE), np.arange(GALLERIES) % PEOPLE
    away = (q_pids[:, None] != g_pids).astype(np.float32)
    near, rebuilt = ((away + rng.normal(0, 1, away.shape)).astype(np.float32) for _ in range(2))
    rebuilt[:, -20:] = 100.0
    return near, rebuilt, (q_pids, g_pids, np.zeros(PEOPLE, int), np.ones(GALLERIES, int))


def m_ap(distances: np.ndarray, ids: tuple[np.ndarray, ...]) -> float:
    return float(query_metrics(query_scores(distances, *ids))["mAP"].mean())


@pytest.mark.parametrize("way", ["one lambda", "isotonic", "logistic"])
def test_two_distances_tell_more_than_one(way: str) -> None:
    near, rebuilt, ids = drawn()
    alone = max(m_ap(x, ids) for x in (near, rebuilt))
    fused = m_ap(fusions(near, rebuilt, ids, SETTINGS)[way], ids)
    assert fused > alone + 3


@pytest.mark.parametrize("way", ["one lambda", "isotonic", "logistic"])
def test_other_people_teach_as_well(way: str) -> None:
    """Two sets of people teach, and a third is measured."""
    lam, learnt = learnt_on([drawn(1), drawn(2)], SETTINGS)
    near, rebuilt, ids = drawn()
    alone = max(m_ap(x, ids) for x in (near, rebuilt))
    assert m_ap(learnt[way](near, rebuilt), ids) > alone + 3
    assert 0 < lam < 1


def test_a_set_that_teaches_is_not_shortlisted_images_and_not_the_own_camera() -> None:
    """What a ranking leaves out teaches nothing: changed, it changes no fused distance."""
    near, rebuilt, ids = drawn(1)
    cameras = np.ones(GALLERIES, int)
    cameras[:PEOPLE:2] = 0  # of these people's first images the query's own
    ids = (*ids[:3], cameras)
    changed = near.copy()
    changed[:, -20:] = -50.0
    own = (ids[0][:, None] == ids[1]) & (cameras == 0)
    changed[own] = 50.0
    fused = [
        learnt_on([(x, rebuilt, ids)], SETTINGS)[1]["isotonic"](*drawn()[:2])
        for x in (near, changed)
    ]
    assert own.sum() == PEOPLE // 2 and (fused[0] == fused[1]).all()


def test_a_half_learns_nothing_from_its_own_labels() -> None:
    """Other distances between the people of a half change no fused distance of the other pairs."""
    near, rebuilt, ids = drawn()
    before = fusions(near, rebuilt, ids, SETTINGS)
    changed = near.copy()
    changed[0] = changed[0, ::-1]
    after = fusions(changed, rebuilt, ids, SETTINGS)
    for way in ("isotonic", "logistic"):
        same = (before[way] == after[way]).all(1)
        # The half of query 0 keeps its fusion; the other half, which learns from it, does not.
        assert same.sum() == PEOPLE // 2 - 1 and not same[0]


@pytest.mark.parametrize("learn", [isotonic, logistic])
def test_less_of_either_distance_is_nearer(learn: object) -> None:
    rng = np.random.default_rng(1)
    same = rng.random(500) < 0.3
    near, rebuilt = (rng.normal(0, 1, 500) + 2 * ~same for _ in range(2))
    fuse = learn(near, rebuilt, same)  # type: ignore[operator]
    steps = np.linspace(-3, 5, 50)[None]
    for fused in (fuse(steps, 0 * steps), fuse(0 * steps, steps)):
        assert (np.diff(fused) > 0).all() and np.isfinite(fused).all()
