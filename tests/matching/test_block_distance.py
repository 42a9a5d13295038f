"""The distance of all pairs with gradients: against a solve per pair, and by finite differences."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from partialreid.matching.block_distance import block_distance
from partialreid.matching.differentiable import differentiable_distance
from tests.reconstruction_oracle import features, oracle, weights_of

# Queries, galleries, channels, query columns, gallery columns.
SIZES = [(1, 1, 8, 1, 1), (3, 4, 32, 5, 7), (2, 5, 6, 9, 11), (4, 1, 40, 70, 3)]
# Half formats are computed in float32. Of columns in float32 the products alone are rounded.
TOLERANCE = {torch.float16: 5e-5, torch.float32: 5e-5, torch.float64: 1e-6}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("kappa", [1e-3, 0.1])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_a_solve_per_pair(size: tuple[int, ...], kappa: float, dtype: torch.dtype) -> None:
    queries, galleries, channels, n, m = size
    query, gallery = features(0, queries, channels, n), features(1, galleries, channels, m)
    query, gallery, weights = query.to(dtype), gallery.to(dtype), weights_of(2, queries, n)
    found = block_distance(query, gallery, weights.to(dtype), kappa)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    unit_query, unit_gallery = (F.normalize(x.double(), dim=1) for x in (query, gallery))
    wanted = oracle(unit_query, unit_gallery, weights.to(dtype), kappa)
    torch.testing.assert_close(found.double(), wanted, atol=TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_the_length_of_a_column_does_not_count(dtype: torch.dtype) -> None:
    query, gallery = features(0, 3, 32, 5), features(1, 4, 32, 7)
    weights = weights_of(2, 3, 5)
    stretch = torch.rand(7, generator=torch.Generator().manual_seed(3)) * 20 + 0.01
    # A length that half formats still hold with enough digits, and one that they do not.
    stretch[2] = 2e-3 if dtype == torch.float16 else 1e-9
    found = block_distance(
        (query * stretch[:5]).to(dtype), (gallery * stretch).to(dtype), weights, 1e-3
    )
    wanted = oracle(query, gallery, weights, 1e-3)
    # Half formats round each column once more.
    atol = 2e-3 if dtype == torch.float16 else TOLERANCE[dtype]
    torch.testing.assert_close(found.double(), wanted, atol=atol, rtol=0)


def test_columns_of_zeros() -> None:
    """Of a query nothing is to be rebuilt, and of a gallery image nothing is there to do it."""
    query, gallery = features(0, 2, 12, 3), features(1, 2, 12, 4)
    query[0, :, 1], gallery[1] = 0, 0
    leaves = query.requires_grad_(), gallery.requires_grad_()
    weights = weights_of(2, 2, 3)
    found = block_distance(*leaves, weights, 1e-3)
    wanted = oracle(query.detach(), gallery.detach(), weights, 1e-3)
    torch.testing.assert_close(found.double(), wanted, atol=5e-5, rtol=0)
    assert found[1, 1].item() == pytest.approx(1)
    found.sum().backward()
    assert all(leaf.grad.isfinite().all() for leaf in leaves)


def some(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64).requires_grad_()


def test_gradients() -> None:
    query, gallery = some(0, 2, 9, 4), some(1, 3, 9, 5)
    weights = torch.rand(2, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda q, g, w: block_distance(q, g, w, 0.1), (query, gallery, weights)
    )


def low_rank(seed: int, images: int, channels: int, columns: int) -> Tensor:
    """Unit columns as those of windows that overlap: nearly of twelve directions alone."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(images, channels, 12, generator=generator)
    mixed = directions @ torch.randn(images, 12, columns, generator=generator)
    return F.normalize(mixed + 0.02 * torch.randn(mixed.shape, generator=generator), dim=1)


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_gradients_are_those_of_the_distance_per_pair(precision: str) -> None:
    """In float32, with a ridge as small as in a test, whatever torch may round in products then."""
    query, gallery = 3 * low_rank(0, 3, 64, 40), 0.1 * low_rank(1, 4, 64, 40)
    weights, up = weights_of(2, 3, 40), torch.rand(3, 4, generator=torch.Generator().manual_seed(3))
    leaves = [x.clone().requires_grad_() for x in (query, gallery, weights)]
    loss = (block_distance(*leaves, 1e-3) * up).sum()
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        loss.backward()
    finally:
        torch.set_float32_matmul_precision(before)
    wide = [x.double().requires_grad_() for x in (query, gallery, weights)]
    unit_query, unit_gallery = (F.normalize(x, dim=1) for x in wide[:2])
    per_pair = differentiable_distance(
        unit_query[:, None], unit_gallery[None], wide[2][:, None], kappa=1e-3
    )
    (per_pair * up).sum().backward()
    for ours, theirs in zip(leaves, wide, strict=True):
        error = (ours.grad.double() - theirs.grad).norm() / theirs.grad.norm()
        assert error < 2e-3


def test_what_is_rebuilt_exactly_has_a_finite_gradient() -> None:
    gallery = features(0, 2, 12, 3)
    query = gallery.clone().requires_grad_()
    weights = weights_of(1, 2, 3)
    found = block_distance(query, gallery, weights, 1e-9)
    found.sum().backward()
    assert found.diagonal().max() < 2e-3 < found[0, 1]
    assert query.grad is not None and query.grad.isfinite().all()


def test_autocast_does_not_reach_the_products() -> None:
    query, gallery, weights = features(0, 2, 64, 7), features(1, 3, 64, 9), weights_of(2, 2, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = block_distance(query, gallery, weights, 1e-3)
    torch.testing.assert_close(found, block_distance(query, gallery, weights, 1e-3), atol=0, rtol=0)


@pytest.mark.parametrize("kappa", [0.0, -1.0, float("nan")])
def test_kappa_must_be_positive(kappa: float) -> None:
    with pytest.raises(ValueError, match="kappa must be > 0"):
        block_distance(features(0, 1, 9, 4), features(1, 1, 9, 5), weights_of(2, 1, 4), kappa)
