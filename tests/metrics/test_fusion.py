"""The fused distance, and how its lambda is chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from partialreid.metrics.fusion import fuse, fused_distance, lambda_grid, oracle_of
from partialreid.metrics.lambda_selection import LambdaCurve, halves_of_identities
from partialreid.metrics.report import report_of, summarize
from partialreid.reporting.results_table import results_table
from tests.metrics.noisy import PEOPLE, QUERIES, SHOTS, case


def test_grid_is_the_originals() -> None:
    assert lambda_grid(0.01) == tuple(0.01 * i for i in range(101))
    assert lambda_grid(0.5) == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("step", "grid"),
    [
        (0.15, (0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1)),
        (0.3, (0, 0.3, 0.6, 0.9, 1)),
        (0.7, (0, 0.7, 1)),
        (1, (0, 1)),
        (1 / 3, (0, 1 / 3, 2 / 3, 1)),
        (0.1, tuple(i / 10 for i in range(11))),
    ],
)
def test_grid_of_any_step_ends_at_one(settings, step: float, grid: tuple[float, ...]) -> None:
    assert lambda_grid(step) == pytest.approx(grid)
    assert lambda_grid(step)[-1] == 1.0
    assert len(set(lambda_grid(step))) == len(grid)


def test_lambda_one_is_tried_whatever_the_step(settings) -> None:
    """The global distance is noise here, so that the reconstruction alone is best."""
    _, _, ids = case()
    noise = torch.rand((QUERIES, PEOPLE * SHOTS), generator=torch.Generator().manual_seed(0))
    same = torch.from_numpy(ids[0][:, None] == ids[1])
    for step in (0.15, 0.3):
        wanted = settings(LAMBDA_SELECTION="oracle", LAMBDA_STEP=step)
        fused, said = fused_distance(100 * noise, 1.0 - same.float(), ids, wanted)
        assert said["lambda"] == 1.0
        torch.testing.assert_close(fused, 1.0 - same.float())


@pytest.mark.parametrize("step", [0.0, -0.1, 1.5, float("nan")])
def test_grid_refuses_other_steps(step: float) -> None:
    with pytest.raises(ValueError, match=r"TEST\.DSR\.LAMBDA_STEP"):
        lambda_grid(step)


def test_fixed_lambda(settings) -> None:
    near, matched, ids = case()
    fused, said = fused_distance(near, matched, ids, settings(LAMBDA=0.3, LAMBDA_SELECTION="fixed"))
    torch.testing.assert_close(fused, 0.7 * near + 0.3 * matched)
    assert said == {"lambda": 0.3, "lambda_selection": "fixed"}


def test_the_oracle_is_measured_by_the_protocol(settings) -> None:
    """In galleries of one image of each person; in the whole one Rank-1 is much higher."""
    near, matched, ids = case(seed=2)
    wanted = settings(
        LAMBDA_SELECTION="crossfit", LAMBDA_STEP=0.1, PROTOCOL="single-shot", SINGLE_SHOT_ROUNDS=5
    )
    _, said = fused_distance(near, matched, ids, wanted)
    at_its_lambda = {"fused": fuse(near, matched, said["oracle"]["lambda"])}
    found = report_of(at_its_lambda, ids, wanted)["fused"]
    assert {name: said["oracle"][name] for name in ("Rank-1", "mAP")} == {
        name: found[name] for name in ("Rank-1", "mAP")
    }
    whole = summarize(at_its_lambda["fused"], ids)
    assert abs(whole["Rank-1"] - found["Rank-1"]) > 1


def test_queries_without_a_match_weigh_nothing_in_the_oracle(settings) -> None:
    """Half of one half's queries have none: the oracle is still the best of the whole set."""
    near, matched, ids = case(seed=1)
    wanted = settings(LAMBDA_SELECTION="crossfit", LAMBDA_STEP=0.1)
    half = halves_of_identities(ids[0], wanted.PROTOCOL_SEED)
    cameras = np.where((half == 0) & (np.arange(QUERIES) >= PEOPLE), 1, 0)
    ids = (*ids[:2], cameras, ids[3])
    _, said = fused_distance(near, matched, ids, wanted)
    every = [summarize(fuse(near, matched, lam), ids) for lam in lambda_grid(0.1)]
    best = max(metrics["Rank-1"] for metrics in every)
    assert said["oracle"]["Rank-1"] == pytest.approx(best)
    place = round(10 * said["oracle"]["lambda"])
    assert every[place]["Rank-1"] == pytest.approx(best)
    assert said["oracle"]["mAP"] == pytest.approx(every[place]["mAP"])


def test_ties_of_the_oracle_are_ties() -> None:
    """Three hits of 119 queries are three, one and two in the halves as well as none and three."""
    halves = [
        LambdaCurve((0.2, 0.8), np.array(hits) / of, np.array([0.9, 0.1]), np.zeros(2))
        for hits, of in (((1, 0), 60), ((2, 3), 59))
    ]
    queries = np.array([60.0, 59.0])
    mixed = [sum(n / 119 * half.rank1[i] for n, half in zip(queries, halves)) for i in (0, 1)]
    assert mixed[0] != mixed[1]
    assert oracle_of(halves, queries) == pytest.approx(
        {"lambda": 0.2, "Rank-1": 300 / 119, "mAP": 90.0}
    )


def test_crossfit_prints_the_oracle_beside_it(settings) -> None:
    near, matched, ids = case()
    fused, said = fused_distance(near, matched, ids, settings(LAMBDA_SELECTION="crossfit"))
    rows = {
        lam: torch.isclose(fused, fuse(near, matched, lam), atol=1e-6).all(1)
        for lam in said["lambdas"]
    }
    assert torch.stack(list(rows.values())).any(0).all()
    # The oracle is what a sweep of the whole set finds.
    every = [summarize(fuse(near, matched, lam), ids)["Rank-1"] for lam in lambda_grid(0.01)]
    assert said["oracle"]["Rank-1"] == pytest.approx(max(every))
    assert said["oracle"]["lambda"] == pytest.approx(0.01 * int(np.argmax(every)))
    assert summarize(fused, ids)["Rank-1"] <= said["oracle"]["Rank-1"] + 1e-9
    distances = {"global": near, "reconstruction": matched, "fused": fused}
    report = {**report_of(distances, ids, settings()), **said}
    table = results_table({"Test": report})
    assert "(cross-fitted)" in table
    assert "(oracle: chosen on this test set)" in table
    assert f"{report['fused']['Rank-1']:.2f} [" in table
