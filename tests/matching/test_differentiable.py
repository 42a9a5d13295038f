"""The differentiable distances: values against the fast engine, gradients by finite differences."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from partialreid.matching.differentiable import coded_distance, differentiable_distance, ridge_codes
from partialreid.matching.exact_product import exact_product
from partialreid.matching.lasso import lasso_codes
from partialreid.matching.reconstruction import reconstruction_distance


def columns(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.rand(shape, generator=generator, dtype=dtype), dim=-2)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_equals_the_fast_engine(squared: bool, dtype: torch.dtype) -> None:
    query, gallery = columns(0, 4, 48, 7).to(dtype), columns(1, 5, 48, 11).to(dtype)
    weights = F.normalize(columns(2, 4, 1, 7)[:, 0] + torch.arange(7), p=1, dim=1)
    for w in (None, weights):
        pairs = None if w is None else w[:, None]
        found = differentiable_distance(query[:, None], gallery[None], pairs, squared=squared)
        expected = reconstruction_distance(query, gallery, w, squared=squared)
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=0, check_dtype=False)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("hold", [False, True])
def test_gradients(squared: bool, hold: bool) -> None:
    query = columns(0, 2, 9, 4, dtype=torch.float64).requires_grad_()
    gallery = columns(1, 2, 9, 5, dtype=torch.float64).requires_grad_()
    weights = torch.rand(2, 4, dtype=torch.float64).requires_grad_()
    held = ridge_codes(query, gallery, 0.1).detach() if hold else None

    def distance(q: Tensor, g: Tensor, w: Tensor) -> Tensor:
        if held is not None:
            return coded_distance(q, g, held, w, squared=squared)
        return differentiable_distance(q, g, w, kappa=0.1, squared=squared)

    assert torch.autograd.gradcheck(distance, (query, gallery, weights))
    total = differentiable_distance(
        query, gallery, weights, kappa=0.1, squared=squared, hold_codes=hold
    )
    ours = torch.autograd.grad(total.sum(), (query, gallery, weights))
    theirs = torch.autograd.grad(distance(query, gallery, weights).sum(), (query, gallery, weights))
    for one, other in zip(ours, theirs):
        torch.testing.assert_close(one, other)


def test_holding_the_codes_changes_the_gradient() -> None:
    query, gallery = columns(0, 9, 4).requires_grad_(), columns(1, 9, 5).requires_grad_()
    free, held = (
        torch.autograd.grad(
            differentiable_distance(query, gallery, kappa=0.1, hold_codes=hold), (query, gallery)
        )
        for hold in (False, True)
    )
    assert (free[1] - held[1]).abs().max() > 1e-3


def test_alternation_of_dsr_with_lasso_codes() -> None:
    x = columns(0, 20, 6, dtype=torch.float64).requires_grad_()
    y = columns(1, 20, 8, dtype=torch.float64).requires_grad_()
    w = lasso_codes((y.T @ y).detach(), (y.T @ x).detach(), 0.1)
    assert (w != 0).any()
    grad_x, grad_y = torch.autograd.grad(6 * coded_distance(x, y, w, squared=True), (x, y))
    residual = (x - y @ w).detach()
    torch.testing.assert_close(grad_x, 2 * residual)
    torch.testing.assert_close(grad_y, -2 * residual @ w.T)


def test_exact_reconstruction_has_a_finite_gradient() -> None:
    gallery = torch.zeros(12, 3)
    query = torch.zeros(12, 2, requires_grad=True)
    differentiable_distance(query, gallery).backward()
    assert query.grad is not None and query.grad.abs().max() == 0


def test_autocast_does_not_reach_the_products() -> None:
    query, gallery = columns(0, 64, 7), columns(1, 64, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = differentiable_distance(query, gallery)
    torch.testing.assert_close(found, differentiable_distance(query, gallery), atol=0, rtol=0)


def test_kappa_must_be_positive() -> None:
    with pytest.raises(ValueError, match="kappa must be > 0 and finite, got 0"):
        differentiable_distance(columns(0, 9, 4), columns(1, 9, 5), kappa=0)


class Products(TorchDispatchMode):
    """Notes the dtype and the allowed precision of every float32 or half matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.dtype, str]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        product = func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.bmm)
        if product and args[0].dtype != torch.float64:
            self.seen.append((args[0].dtype, torch.get_float32_matmul_precision()))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("hold", [False, True])
def test_products_are_exact_in_both_directions(hold: bool) -> None:
    query, gallery = columns(0, 2, 24, 7).requires_grad_(), columns(1, 2, 24, 9).requires_grad_()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with Products() as products, torch.autocast("cpu", dtype=torch.bfloat16):
            distance = differentiable_distance(query, gallery, hold_codes=hold).sum()
            forward = len(products.seen)
            distance.backward()
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert forward == 3 and len(products.seen) > forward
    assert set(products.seen) == {(torch.float32, "highest")}


def test_product_of_broadcast_batches() -> None:
    left = torch.rand(3, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    right = torch.rand(2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.equal(exact_product(left, right), left @ right)
    assert torch.autograd.gradcheck(exact_product, (left, right))
    assert torch.autograd.gradgradcheck(exact_product, (left, right))
