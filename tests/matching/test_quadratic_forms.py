"""c'Sc of many columns: against einsum in float64, in parts of every size, and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from partialreid.matching import quadratic_forms as module
from partialreid.matching.quadratic_forms import quadratic_forms

# Matrices, rows of a column, columns.
SIZES = [(1, 1, 1), (5, 7, 3), (3, 2, 13), (7, 4, 4)]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}
# Bytes: one matrix at a time, some, and all.
CACHES = [0, 500, 2**20]


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inputs(size: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    matrices, rows, columns = size
    some = drawn(0, matrices, rows, rows)
    return drawn(1, matrices, rows, columns), some + some.mT


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_values_and_gradients(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int, int], dtype: torch.dtype, cache: int
) -> None:
    monkeypatch.setattr(module, "CACHE", cache)
    columns, matrices = inputs(size)
    ours = columns.to(dtype).requires_grad_(), matrices.clone().requires_grad_()
    theirs = ours[0].detach().double().requires_grad_(), matrices.clone().requires_grad_()
    found = quadratic_forms(*ours)
    wanted = torch.einsum("gmp,gmk,gkp->gp", theirs[0], theirs[1], theirs[0])
    assert found.dtype == torch.float64
    # The columns come as they are: nothing of a value is rounded but in float64.
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)
    up = drawn(2, *wanted.shape)
    (found * up).sum().backward()
    (wanted * up).sum().backward()
    assert ours[0].grad.dtype == dtype
    for one, other in zip(ours, theirs, strict=True):
        error = (one.grad.double() - other.grad).norm() / other.grad.norm()
        assert error < TOLERANCE[dtype]


def test_gradcheck() -> None:
    columns, some = drawn(0, 3, 4, 5).requires_grad_(), drawn(1, 3, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda c, s: quadratic_forms(c, s + s.mT), (columns, some))


@pytest.mark.parametrize("side", [0, 1])
def test_one_side_alone(side: int) -> None:
    leaves = list(inputs((3, 4, 5)))
    leaves[side].requires_grad_()
    quadratic_forms(*leaves).sum().backward()
    both = [x.detach().requires_grad_() for x in leaves]
    torch.einsum("gmp,gmk,gkp->", both[0], both[1], both[0]).backward()
    torch.testing.assert_close(leaves[side].grad, both[side].grad)
    assert leaves[1 - side].grad is None


def test_second_derivatives_are_refused() -> None:
    columns, matrices = inputs((3, 4, 5))
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(
            quadratic_forms(columns.requires_grad_(), matrices).sum(), columns, create_graph=True
        )


def test_parts_are_those_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = torch.zeros(7, 2, 3)  # 48 bytes of float64 each
    for cache, sizes in {0: [1] * 7, 143: [2, 2, 2, 1], 144: [3, 3, 1], 10**6: [7]}.items():
        monkeypatch.setattr(module, "CACHE", cache)
        found = [len(columns[part]) for part in module._parts(columns)]
        assert found == sizes


def test_nothing() -> None:
    assert quadratic_forms(torch.zeros(0, 3, 4), torch.zeros(0, 3, 3).double()).shape == (0, 4)
