"""Extracted images matched by ridge or by sparse codes, with the weights of their columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from partialreid.evaluation.configured_distances import configured_matcher
from partialreid.evaluation.matchers import LassoMatcher, RidgeMatcher
from partialreid.evaluation.weighted_columns import WeightedColumns
from partialreid.matching.column_parts import ColumnPart
from partialreid.matching.extracted import Images
from partialreid.matching.lasso import lasso_distance


def test_a_probe_brings_its_first_scale_only() -> None:
    torch.manual_seed(0)
    columns = [torch.nn.functional.normalize(torch.rand(12, 6), dim=0) for _ in range(4)]
    weights = [torch.tensor([1 / 3] * 3 + [0.0] * 3)] * 4
    query = Images(torch.zeros(2, 1), columns[:2], weights[:2])
    gallery = Images(torch.zeros(2, 1), columns[2:], weights[2:])
    wanted = lasso_distance([c[:, :3] for c in columns[:2]], columns[2:], beta=0.2)
    torch.testing.assert_close(LassoMatcher(0.2).every(query, gallery), wanted)
    pairs = torch.tensor([[1, 0], [0, 1]])
    torch.testing.assert_close(
        LassoMatcher(0.2).pairs(query, gallery, pairs), wanted[pairs[:, 0], pairs[:, 1]]
    )
    ridge = RidgeMatcher(0.1, squared=True)
    all_columns = ridge.every(query, gallery)
    first = Images(query.features, [c[:, :3] for c in columns[:2]], [w[:3] for w in weights[:2]])
    torch.testing.assert_close(all_columns, ridge.every(first, gallery))


def test_sparse_codes_fetch_the_queries_that_are_asked_for() -> None:
    """All queries together may be more than TEST.DSR.MEMORY_GB."""
    torch.manual_seed(0)
    columns = torch.nn.functional.normalize(torch.randn(30, 12, 6), dim=1)
    weights = [torch.tensor([0.5, 0.0, 0.5, 0.0, 0.0, 0.0])] * 30
    fetched: list[int] = []

    class Watched(ColumnPart):
        def __getitem__(self, image: int) -> torch.Tensor:
            fetched.append(image)
            return super().__getitem__(image)

    query = WeightedColumns(Images(torch.zeros(30, 1), Watched(columns, range(30)), weights))
    assert (len(query), list(query.counts), fetched) == (30, [2] * 30, [])
    torch.testing.assert_close(query[7], columns[7][:, [0, 2]])
    assert fetched == [7]
    with pytest.raises(IndexError, match="query 30 of 30"):
        query[30]


def test_the_tolerance_of_sparse_codes_moves_distances() -> None:
    torch.manual_seed(0)
    columns = torch.nn.functional.normalize(torch.randn(4, 12, 6), dim=1)
    query = Images(torch.zeros(2, 1), list(columns[:2]), [torch.full((6,), 1 / 6)] * 2)
    gallery = Images(torch.zeros(2, 1), list(columns[2:]), [torch.full((6,), 1 / 6)] * 2)
    exact = LassoMatcher(0.1).every(query, gallery)
    torch.testing.assert_close(exact, lasso_distance(columns[:2], columns[2:], beta=0.1))
    rough = LassoMatcher(0.1, tolerance=1.0).every(query, gallery)
    assert ((rough - exact).abs() > 1e-3).all()


@pytest.mark.parametrize("codes", ["ridge", "lasso"])
def test_what_is_taken_apart_is_the_distance(make_config: Callable[..., Any], codes: str) -> None:
    cfg = make_config("TEST.DSR.CODES", codes, "TEST.DSR.LASSO_BETA", 0.1, "TEST.DSR.KAPPA", 0.01)
    cfg.merge_from_list(["TEST.DSR.SQUARED", True])
    matcher = configured_matcher(cfg.TEST.DSR)
    torch.manual_seed(0)
    columns = torch.nn.functional.normalize(torch.rand(2, 12, 6, dtype=torch.float64), dim=1)
    weights = torch.tensor([0.5, 0.3, 0.2, 0, 0, 0], dtype=torch.float64)
    query = Images(torch.zeros(1, 1), columns[:1], [weights])
    gallery = Images(torch.zeros(1, 1), columns[1:], [weights])
    wanted = matcher.pairs(query, gallery, torch.tensor([[0, 0]])).item()
    found = matcher.explained(columns[0], columns[1], weights)
    assert found.distance == pytest.approx(wanted, abs=1e-9) and wanted > 1e-3
