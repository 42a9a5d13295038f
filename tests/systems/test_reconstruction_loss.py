"""Softmax classification by the reconstruction distances of a batch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from partialreid.config import CHOICES
from partialreid.systems.reconstruction_loss import (
    KINDS,
    reconstruction_loss,
    soft_margin_over_gallery,
    softmax_over_gallery,
    some_columns,
)
from tests.reconstruction_oracle import features, oracle, weights_of


def slow_loss(distances, query_labels, gallery_labels, temperature: float) -> float:
    """By the definition, match by match."""
    found = []
    for q, label in enumerate(query_labels):
        shares = [math.exp(-float(d) / temperature) for d in distances[q]]
        others = sum(s for s, g in zip(shares, gallery_labels) if g != label)
        matches = [s for s, g in zip(shares, gallery_labels) if g == label]
        if matches:
            found.append(sum(-math.log(s / (s + others)) for s in matches) / len(matches))
    return sum(found) / len(found)


QUERIES, GALLERY = torch.tensor([0, 0, 1, 2, 5]), torch.tensor([0, 1, 1, 2, 2, 0, 3])


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_softmax_by_its_definition(temperature: float) -> None:
    distances = torch.rand(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = softmax_over_gallery(distances, QUERIES, GALLERY, temperature)
    assert float(found) == pytest.approx(slow_loss(distances, QUERIES, GALLERY, temperature))


def slow_soft_margin(distances, query_labels, gallery_labels, temperature: float) -> float:
    """By the definition, query by query."""
    found = []
    for q, label in enumerate(query_labels):
        matches = [float(d) for d, g in zip(distances[q], gallery_labels) if g == label]
        others = [float(d) for d, g in zip(distances[q], gallery_labels) if g != label]
        if matches and others:
            found.append(math.log1p(math.exp((max(matches) - min(others)) / temperature)))
    return sum(found) / len(found)


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_soft_margin_by_its_definition(temperature: float) -> None:
    distances = torch.rand(5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = soft_margin_over_gallery(distances, QUERIES, GALLERY, temperature)
    assert float(found) == pytest.approx(slow_soft_margin(distances, QUERIES, GALLERY, temperature))


def test_kinds_are_those_of_the_key() -> None:
    assert tuple(KINDS) == CHOICES["MODEL.LOSSES.RECONSTRUCTION.KIND"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_match_is_no_loss_and_no_nan(kind: str) -> None:
    distances = torch.rand(2, 3, requires_grad=True)
    loss = KINDS[kind](distances, torch.tensor([8, 9]), torch.tensor([1, 2, 3]), 0.02)
    loss.backward()
    assert loss == 0 and torch.equal(distances.grad, torch.zeros(2, 3))
    # All of one identity: nobody else to tell apart.
    distances = torch.rand(2, 3, requires_grad=True)
    loss = KINDS[kind](distances, torch.zeros(2), torch.zeros(3), 0.02)
    loss.backward()
    assert loss == 0 and distances.grad.isfinite().all()


def test_loss_is_that_of_the_distances() -> None:
    query, gallery = 3 * features(0, 5, 32, 6), 2 * features(1, 7, 32, 9)
    weights = weights_of(2, 5, 6)
    found = reconstruction_loss(
        (query, weights, QUERIES), (gallery, GALLERY), kappa=1e-2, temperature=0.1, columns=6
    )
    unit_query, unit_gallery = F.normalize(query, dim=1), F.normalize(gallery, dim=1)
    distances = oracle(unit_query, unit_gallery, weights, 1e-2)
    assert float(found) == pytest.approx(slow_loss(distances, QUERIES, GALLERY, 0.1), rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_down_the_gradient_lowers_the_loss(kind: str) -> None:
    query, gallery = features(0, 5, 32, 6).requires_grad_(), features(1, 7, 32, 9).requires_grad_()
    weights = weights_of(2, 5, 6).requires_grad_()
    leaves = (query, gallery, weights)

    def loss(q, g, w):
        return reconstruction_loss(
            (q, w, QUERIES), (g, GALLERY), kappa=1e-2, temperature=0.1, columns=6, kind=kind
        )

    before = loss(*leaves)
    steps = torch.autograd.grad(before, leaves)
    assert all(step.abs().max() > 0 for step in steps)
    after = loss(*(x - 1e-2 * step for x, step in zip(leaves, steps, strict=True)))
    assert after < before


def test_some_columns_are_the_same_of_all_queries() -> None:
    torch.manual_seed(0)
    places = torch.arange(10.0).expand(3, 4, 10)
    weights = weights_of(0, 3, 10)
    columns, found = some_columns(places, weights, 4)
    drawn = columns[0, 0].long()
    assert columns.shape == (3, 4, 4) and len(set(drawn.tolist())) == 4
    assert torch.equal(columns, places[:, :, drawn])
    torch.testing.assert_close(found, weights[:, drawn] / weights[:, drawn].sum(1, keepdim=True))
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    # Another draw in the next step.
    assert not torch.equal(some_columns(places, weights, 4)[0], columns)
    # No more than there are.
    columns, found = some_columns(places, weights, 99)
    assert torch.equal(columns, places)
    torch.testing.assert_close(found, weights)


def test_some_columns_of_a_part() -> None:
    torch.manual_seed(0)
    places = torch.arange(10.0).expand(3, 4, 10)
    weights = weights_of(0, 3, 10)
    part = torch.tensor([1, 4, 7])
    columns, found = some_columns(places, weights, 2, part)
    drawn = columns[0, 0].long()
    assert set(drawn.tolist()) < set(part.tolist()) and columns.shape == (3, 4, 2)
    torch.testing.assert_close(found, weights[:, drawn] / weights[:, drawn].sum(1, keepdim=True))
    # All of the part, where it has no more than are wanted.
    columns, found = some_columns(places, weights, 99, part)
    assert torch.equal(columns, places[:, :, part])
    torch.testing.assert_close(found.sum(1), torch.ones(3))
