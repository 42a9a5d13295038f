"""Verification rates, against FastReID's pairs and by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from partialreid.metrics.roc import roc
from tests.evaluation.test_refinement import case, cosine


def test_roc_counts_fastreids_pairs() -> None:
    """The pairs are FastReID's; of thresholds the best that keeps the rate is found by trying."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastreid.evaluation.roc import evaluate_roc

    query, gallery, ids = case()
    arrays = [np.asarray(x) for x in ids]
    arrays[3] = np.arange(len(arrays[1])) % 3  # some pairs share identity and camera 0
    near = cosine(query, gallery).numpy()
    scores, labels = evaluate_roc(near, *arrays)  # label 1: two persons
    rates = [0.0, 1e-3, 0.01, 0.2]
    ours = roc(near, *arrays, rates=rates)
    assert list(ours) == ["TAR@FAR=0", "TAR@FAR=0.001", "TAR@FAR=0.01", "TAR@FAR=0.2"]
    for rate, found in zip(rates, ours.values()):
        best = max(
            (scores[labels == 0] < threshold).mean()
            for threshold in np.sort(scores)
            if (scores[labels == 1] < threshold).mean() <= rate
        )
        assert found == pytest.approx(100 * best)
    assert 0 < ours["TAR@FAR=0.001"] < ours["TAR@FAR=0.2"] < 100


def test_roc_by_hand() -> None:
    # True pairs at .1 and .4 (the pair of one camera at .0 does not count), false at .2, .3.
    distances, ids = [[0.0, 0.1, 0.2], [0.3, 0.9, 0.4]], ([1, 2], [1, 1, 2], [0, 0], [0, 1, 1])
    distances[1][1] = 0.5
    found = roc(distances, *ids, rates=[0.0, 0.4, 0.7])
    assert found == {"TAR@FAR=0": 50.0, "TAR@FAR=0.4": 50.0, "TAR@FAR=0.7": 100.0}
    tied = roc([[0.2, 0.2, 0.2]], [1], [1, 2, 3], [0], [1, 1, 1], rates=[0.5])
    assert tied == {"TAR@FAR=0.5": 0.0}


def test_a_rate_just_below_one_accepts_all_but_the_last() -> None:
    distances, ids = [[0.3, 0.1, 0.2]], ([1], [1, 2, 3], [0], [1, 1, 1])
    assert roc(distances, *ids, rates=[1 - 1e-12]) == {"TAR@FAR=1": 0.0}


def test_roc_names_bad_input() -> None:
    ids = ([1], [1, 2], [0], [1, 1])
    with pytest.raises(ValueError, match="there are 0 and 1"):
        roc([[0.1, 0.2]], [1], [1, 2], [0], [0, 1])
    with pytest.raises(ValueError, match="there are 2 and 0"):
        roc([[0.1, 0.2]], [1], [1, 1], [0], [1, 1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        roc([[0.1, 0.2]], *ids, rates=[1.0])
    with pytest.raises(ValueError, match="NaN"):
        roc([[0.1, np.nan]], *ids)
    with pytest.raises(ValueError, match="do not fit"):
        roc([[0.1]], *ids)
