"""The whole evaluator on test sets of a few images, against loops over queries and galleries."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from partialreid.dsr_evaluation import DsrEvaluator
from partialreid.metrics.lambda_selection import halves_of_identities
from tests.reconstruction_oracle import oracle

CHANNELS, COLUMNS = 8, 5
METRICS = ("Rank-1", "Rank-5", "Rank-10", "mAP", "mINP")

# Identities of queries and of gallery images; 0 is a distractor.
SETS: dict[str, tuple[list[int], list[int]]] = {
    "one image each": ([1], [1]),
    "one query": ([1], [2, 1, 3, 1]),
    "one query of one identity": ([1], [1, 1, 1]),
    "one identity": ([1, 1, 1], [2, 1]),
    "two identities": ([1, 2], [2, 1]),
    "three identities": ([1, 2, 3, 2], [2, 2, 1, 3, 4]),
    "distractors": ([1, 2], [0, 1, 2, 0]),
    "without a gallery image": ([1, 2, 3], [3, 1, 3]),
}


def evaluated(cfg: Any, name: str) -> DsrEvaluator:
    query, gallery = SETS[name]
    pids = torch.tensor(query + gallery)
    generator = torch.Generator().manual_seed(len(pids))
    features = torch.randn(len(pids), CHANNELS, generator=generator)
    columns = torch.rand(len(pids), CHANNELS, COLUMNS, generator=generator)
    weights = F.normalize(torch.rand(len(pids), COLUMNS, generator=generator), p=1, dim=1)
    evaluator = DsrEvaluator(cfg, len(query), keep_distances=True)
    cameras = (torch.arange(len(pids)) >= len(query)).long()
    evaluator.process({"targets": pids, "camids": cameras}, (features, columns, weights))
    evaluator.evaluate()
    # What the distances must be.
    near = 1 - F.normalize(features.double()) @ F.normalize(features.double()).T
    split, unit = len(query), F.normalize(columns, dim=1)
    torch.testing.assert_close(evaluator.distances["global"].double(), near[:split, split:])
    wanted = oracle(unit[:split], unit[split:], weights[:split])
    matched = evaluator.distances["reconstruction"].double()
    torch.testing.assert_close(matched, wanted, atol=1e-5, rtol=0)
    return evaluator


def slow_metrics(distances: np.ndarray, query: list[int], gallery: list[int]) -> dict[str, float]:
    """Metrics of queries and galleries under two cameras, by counting."""
    rows: list[list[float]] = []
    for row, pid in zip(distances, query):
        ranked = [gallery[place] == pid for place in np.argsort(row, kind="stable")]
        places = [place for place, right in enumerate(ranked, start=1) if right]
        if places:
            precision = [number / place for number, place in enumerate(places, start=1)]
            hits = [float(places[0] <= rank) for rank in (1, 5, 10)]
            rows.append([*hits, sum(precision) / len(places), len(places) / places[-1]])
    return dict(zip(METRICS, 100 * np.mean(rows, axis=0)))


@pytest.mark.parametrize("shortlist", ["none", "global", "coarse"])
@pytest.mark.parametrize("name", SETS)
def test_whole_gallery(make_config, name: str, shortlist: str) -> None:
    """A gallery smaller than TOPK is reconstructed whole."""
    cfg = make_config("TEST.DSR.LAMBDA_SELECTION", "fixed", "TEST.DSR.SHORTLIST", shortlist)
    evaluator = evaluated(cfg, name)
    query, gallery = SETS[name]
    assert len(gallery) < cfg.TEST.DSR.TOPK
    for distance in ("global", "reconstruction", "fused"):
        wanted = slow_metrics(evaluator.distances[distance].numpy(), query, gallery)
        assert evaluator.report[distance] == pytest.approx(wanted), distance
    # Of one person nothing can be told about others.
    found = {pid for pid in query if pid in gallery}
    assert bool(evaluator.report["intervals"]["fused"]) == (len(found) > 1)


@pytest.mark.parametrize("name", [name for name in SETS if name != "one query of one identity"])
def test_single_shot(make_config, name: str) -> None:
    """Every draw is one of a few galleries, and metrics lie between those of the worst and best."""
    cfg = make_config("TEST.DSR.LAMBDA_SELECTION", "fixed", "TEST.DSR.PROTOCOL", "single-shot")
    evaluator = evaluated(cfg, name)
    query, gallery = SETS[name]
    people = sorted({pid for pid in gallery if pid > 0})
    draws = itertools.product(*([i for i, p in enumerate(gallery) if p == pid] for pid in people))
    distances = evaluator.distances["fused"].numpy()
    each = [slow_metrics(distances[:, list(draw)], query, people) for draw in draws]
    said = evaluator.report["single_shot"]["fused"]
    assert said["gallery"] == len(people)
    assert said["queries_left_out"] == sum(pid not in people for pid in query)
    for metric in METRICS:
        mean, deviation = said[metric]
        possible = [draw[metric] for draw in each]
        assert min(possible) - 1e-6 <= mean <= max(possible) + 1e-6
        assert (deviation < 1e-6) == (np.ptp(possible) < 1e-6), metric
        assert evaluator.report["fused"][metric] == mean


@pytest.mark.parametrize("name", ["two identities", "three identities", "distractors"])
def test_crossfit(make_config, name: str) -> None:
    """Each query is ranked with the lambda that is best for the identities of the other half."""
    cfg = make_config("TEST.DSR.LAMBDA_SELECTION", "crossfit", "TEST.DSR.LAMBDA_STEP", 0.1)
    evaluator = evaluated(cfg, name)
    query, gallery = SETS[name]
    names = ("global", "reconstruction", "fused")
    near, matched, fused = (evaluator.distances[name].numpy() for name in names)
    grid = [i / 10 for i in range(11)]

    half = halves_of_identities(query, cfg.TEST.DSR.PROTOCOL_SEED)

    def best(rows: np.ndarray) -> float:
        people = [query[row] for row in rows]
        found = [
            slow_metrics((1 - x) * near[rows] + x * matched[rows], people, gallery) for x in grid
        ]
        return grid[
            max(range(11), key=lambda i: (found[i]["Rank-1"], round(found[i]["mAP"], 6), -i))
        ]

    for number, chosen in enumerate(evaluator.report["lambdas"]):
        assert chosen == pytest.approx(best(np.flatnonzero(half != number)))
        own = half == number
        np.testing.assert_allclose(fused[own], ((1 - chosen) * near + chosen * matched)[own], 1e-5)


def test_queries_that_are_left_out_are_counted(make_config, caplog) -> None:
    with caplog.at_level(logging.WARNING, "partialreid"):
        evaluated(make_config("TEST.DSR.LAMBDA_SELECTION", "fixed"), "without a gallery image")
    assert "1 of 3 queries are left out of all metrics" in caplog.text


@pytest.mark.parametrize(
    ("settings", "query", "gallery", "said"),
    [
        ({}, [1, 2], [3, 4], r"none of the 2 queries has a match"),
        ({"LAMBDA_SELECTION": "crossfit"}, [1], [1, 2], r'LAMBDA_SELECTION to "fixed"'),
        ({"LAMBDA_SELECTION": "crossfit"}, [1, 2], [1, 3], r"half [01].*PROTOCOL_SEED"),
        ({"PROTOCOL": "single-shot"}, [1], [2, 3], r"none of the 1 queries has a match"),
    ],
)
def test_what_has_no_metrics_is_said_before_the_matching(
    make_config, monkeypatch, settings: dict[str, str], query: list, gallery: list, said: str
) -> None:
    monkeypatch.setitem(SETS, "here", (query, gallery))
    monkeypatch.setattr("partialreid.dsr_evaluation.configured_distances", None)
    changes = {"LAMBDA_SELECTION": "fixed", **settings}
    options = [part for key, value in changes.items() for part in (f"TEST.DSR.{key}", value)]
    with pytest.raises(ValueError, match=said):
        evaluated(make_config(*options), "here")
