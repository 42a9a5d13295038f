"""All inner products of two batches: against plain products, and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from partialreid.matching.inner_products import inner_products

# Queries, galleries, channels, query columns, gallery columns.
SIZES = [(1, 1, 1, 1, 1), (3, 4, 17, 5, 7), (2, 5, 6, 9, 11)]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}


def batch(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def plain(query: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    columns = query.movedim(1, 0).flatten(1)
    return gallery.mT @ columns, gallery.mT @ gallery, query.square().sum(1)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("side_by_side", [True, False])
def test_values_and_gradients_are_those_of_plain_products(
    size: tuple[int, ...], dtype: torch.dtype, side_by_side: bool
) -> None:
    queries, galleries, channels, n, m = size
    query = batch(0, queries, channels, n, dtype=dtype)
    gallery = batch(1, galleries, channels, m, dtype=dtype)
    if side_by_side:
        query, gallery = query.mT.contiguous().mT, gallery.mT.contiguous().mT
    ours = [x.detach().requires_grad_() for x in (query, gallery)]
    theirs = [x.detach().double().requires_grad_() for x in (query, gallery)]
    found, wanted = inner_products(*ours), plain(*theirs)
    assert [x.dtype for x in found] == [dtype, dtype, torch.float64]
    ups = [batch(2 + i, *x.shape) for i, x in enumerate(wanted)]
    sum((x * up).sum() for x, up in zip(found, ups)).backward()
    sum((x * up).sum() for x, up in zip(wanted, ups)).backward()
    grads = [x.grad for x in ours], [x.grad for x in theirs]
    for one, other in zip((*found, *grads[0]), (*wanted, *grads[1]), strict=True):
        error = (one.double() - other).norm() / other.norm()
        assert error < TOLERANCE[dtype]


def test_gradcheck() -> None:
    leaves = batch(0, 2, 5, 3).requires_grad_(), batch(1, 3, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(inner_products, leaves)


@pytest.mark.parametrize("side", [0, 1])
def test_one_side_alone(side: int) -> None:
    leaves = [batch(0, 2, 5, 3), batch(1, 3, 5, 4)]
    leaves[side].requires_grad_()
    cross, gram, squares = inner_products(*leaves)
    (cross.sum() + gram.sum() + squares.sum()).backward()
    both = [x.detach().requires_grad_() for x in leaves]
    (sum(x.sum() for x in plain(*both))).backward()
    torch.testing.assert_close(leaves[side].grad, both[side].grad)
    assert leaves[1 - side].grad is None


def test_gradients_lie_as_their_columns_do() -> None:
    """Else the layers before, whose numbers lie so too, would copy them."""
    leaves = [batch(i, 3, 4, 6).mT.requires_grad_() for i in range(2)]
    sum(x.sum() for x in inner_products(*leaves)).backward()
    assert all(leaf.grad.stride() == leaf.stride() for leaf in leaves)


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_products_of_both_ways_are_exact(precision: str) -> None:
    """Whatever torch may round in products, and under autocast."""
    leaves = [batch(i, 2, 64, 7, dtype=torch.float32).requires_grad_() for i in range(2)]
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = inner_products(*leaves)
            sum((x * x).sum() for x in found).backward()
    finally:
        torch.set_float32_matmul_precision(before)
    wide = [x.detach().double().requires_grad_() for x in leaves]
    wanted = plain(*wide)
    sum((x * x).sum() for x in wanted).backward()
    for one, other in zip(
        (*found, *(x.grad for x in leaves)), (*wanted, *(x.grad for x in wide)), strict=True
    ):
        assert (one.double() - other).norm() / other.norm() < 1e-5


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("power", [1, 2])
def test_second_derivatives_are_refused(place: int, power: int) -> None:
    """Of a sum, too, whose gradient is a constant: a part of them would be left out."""
    leaves = batch(0, 2, 5, 3).requires_grad_(), batch(1, 3, 5, 4).requires_grad_()
    loss = inner_products(*leaves)[place].pow(power).sum() + leaves[0].pow(3).sum()
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(loss, leaves, create_graph=True)
