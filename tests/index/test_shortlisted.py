"""The distances to a shortlist from the disk are those of the evaluation, in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from partialreid.evaluation.matchers import LassoMatcher, RidgeMatcher
from partialreid.index.gallery import Index
from partialreid.index.shortlisted import shortlisted_distances
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.sharding import sharded_distances
from tests.index.made_up import COARSE, images, made_index, queries, records

GALLERY = records(range(23))


@pytest.mark.parametrize("by", ["coarse", "global"])
@pytest.mark.parametrize("topk", [1, 4, 23, 50])
def test_distances_are_those_of_the_evaluation(tmp_path: Path, by: str, topk: int) -> None:
    query, gallery = queries(), images(GALLERY)
    rough = build_coarse(gallery, **COARSE._asdict()) if by == "coarse" else None
    found = sharded_distances(query, gallery, RidgeMatcher(), topk=topk, fill=99.0, rough=rough)
    assert found is not None and found[1] is not None
    near, matched = found
    with Index.open(made_index(tmp_path, GALLERY)) as index:
        got = shortlisted_distances(query, index, RidgeMatcher(), topk, by=by)
    assert got.rows.shape == (5, min(topk, 23))
    torch.testing.assert_close(got.near, near.gather(1, got.rows), atol=1e-6, rtol=0)
    torch.testing.assert_close(got.matched, matched.gather(1, got.rows), atol=1e-6, rtol=0)
    assert (matched < 99).sum() == got.rows.numel()


def test_only_what_may_be_found_is_matched(tmp_path: Path) -> None:
    query = queries()
    every = LassoMatcher().every(query, images(GALLERY))
    with Index.open(made_index(tmp_path, GALLERY)) as index:
        rows = index.select({"camera": 1})
        got = shortlisted_distances(query, index, LassoMatcher(), 6, rows=rows, squared=True)
        assert set(got.rows.flatten().tolist()) <= set(range(1, 23, 3))
        torch.testing.assert_close(got.matched, every.gather(1, got.rows), atol=1e-5, rtol=0)
        none = shortlisted_distances(query, index, LassoMatcher(), 6, rows=[])
        assert none.matched.shape == none.near.shape == (5, 0)
