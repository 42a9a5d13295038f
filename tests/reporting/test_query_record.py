"""What a file of results keeps of each query."""

from __future__ import annotations

import json

import numpy as np
import torch

from partialreid.metrics.ranking import query_scores
from partialreid.reporting.query_record import query_record


def test_a_query_without_match_is_left_out_wherever_it_stands() -> None:
    """The second shows a person whom no gallery image shows."""
    distances = torch.tensor([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.1, 0.15, 0.2]])
    ids = ([4, 6, 5], [9, 5, 4], [0, 0, 0], [1, 1, 1])
    people = torch.tensor(ids[0])
    found = query_record(query_scores(distances, *ids), people)
    assert found == {"identities": [4, 5], "Rank-1": [0.0, 0.0], "mAP": [33.333, 50.0]}
    # Numbers that JSON can write.
    assert json.loads(json.dumps(found)) == found


def test_its_means_are_the_metrics() -> None:
    rng = np.random.default_rng(2)
    ids = [rng.integers(0, 6, n) for n in (30, 50)] + [rng.integers(0, 3, n) for n in (30, 50)]
    scores = query_scores(rng.random((30, 50)), *ids)
    found = query_record(scores, ids[0])
    assert abs(np.mean(found["Rank-1"]) - 100 * (scores.first == 0).mean()) < 1e-9
    assert abs(np.mean(found["mAP"]) - 100 * scores.ap.mean()) < 1e-3
