"""What labels alone forbid is found by them, exactly where the metrics would fail."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
import torch

from partialreid.metrics.fusion import fused_distance
from partialreid.metrics.label_check import check_labels
from partialreid.metrics.ranking import matched_queries
from partialreid.metrics.report import report_of
from partialreid.metrics.roc import roc


def settings(make_config: Any, **changes: Any) -> Any:
    test = make_config().TEST
    test.DSR.LAMBDA_SELECTION, test.DSR.SINGLE_SHOT_ROUNDS = "fixed", 4
    test.ROC.ENABLED = changes.pop("ROC", False)
    for key, value in changes.items():
        test.DSR[key] = value
    return test


def labels(rng: np.random.Generator) -> list[np.ndarray]:
    """Of up to four queries and galleries, so that much is missing."""
    queries, galleries = rng.integers(1, 5, 2)
    return [
        rng.integers(0, 4, queries),
        rng.integers(0, 4, galleries),
        rng.integers(0, 2, queries),
        rng.integers(0, 2, galleries),
    ]


@pytest.mark.parametrize(
    "changes",
    [{}, {"LAMBDA_SELECTION": "crossfit"}, {"PROTOCOL": "single-shot"}, {"ROC": True}],
    ids=str,
)
def test_refuses_what_the_metrics_would(make_config, changes: dict[str, Any]) -> None:
    test = settings(make_config, **changes)
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(300):
        ids = labels(rng)
        shape = (len(ids[0]), len(ids[1]))
        near, matched = torch.from_numpy(rng.random((2, *shape), "f4"))
        said: list[str] = ["", ""]
        with contextlib.suppress(ValueError):
            check_labels(tuple(ids), test.DSR, fused=True, roc=test.ROC.ENABLED)
            said[0] = "passed"
        with contextlib.suppress(ValueError):
            fused, _ = fused_distance(near, matched, tuple(ids), test.DSR)
            metrics = report_of({"fused": fused}, tuple(ids), test.DSR)["fused"]
            assert all(np.isfinite(list(metrics.values())))
            if test.ROC.ENABLED:
                assert all(np.isfinite(list(roc(fused, *ids).values())))
            said[1] = "passed"
        assert said[0] == said[1], [x.tolist() for x in ids]
        outcomes.add(said[0])
    assert outcomes == {"", "passed"}


def test_matched_queries() -> None:
    found = matched_queries([1, 1, 2, 3], [1, 1, 2, 4], [0, 1, 0, 0], [0, 1, 0, 1])
    assert found.tolist() == [True, True, False, False]
    # Its own camera alone is no match, another one beside it is.
    assert matched_queries([5, 5], [5, 5], [0, 2], [0, 0]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("changes", "ids", "said"),
    [
        ({}, ([1], [2], [0], [1]), "none of the 1 queries has a match"),
        ({"LAMBDA_SELECTION": "crossfit"}, ([1, 1], [1, 2], [0, 0], [1, 1]),
         r'two identities, there are 1: set TEST\.DSR\.LAMBDA_SELECTION to "fixed"'),
        ({"LAMBDA_SELECTION": "crossfit"}, ([1, 2], [1, 2], [0, 0], [1, 0]),
         r"half [01] of the identities.*try another TEST\.DSR\.PROTOCOL_SEED"),
        ({"PROTOCOL": "single-shot"}, ([1], [1, 1], [0], [0, 1]),
         r'single-shot round \d no query.*set TEST\.DSR\.PROTOCOL to "full"'),
        ({"ROC": True}, ([1], [1], [0], [1]), r"set TEST\.ROC\.ENABLED to False"),
    ],
)  # fmt: skip
def test_sentences_name_the_key_and_the_way_out(
    make_config, changes: dict[str, Any], ids: tuple[list[int], ...], said: str
) -> None:
    test = settings(make_config, **changes)
    with pytest.raises(ValueError, match=said):
        check_labels(ids, test.DSR, fused=True, roc=test.ROC.ENABLED)
