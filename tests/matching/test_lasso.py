"""Sparse codes against the optimality conditions, scikit-learn and hand-made cases."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Lasso
from torch import Tensor

from partialreid.matching.lasso import lasso_codes, lasso_distance
from tests.reconstruction_oracle import features


def codes_of(x: Tensor, y: Tensor, beta: float, **options: float) -> Tensor:
    x, y = x.double(), y.double()
    return lasso_codes(y.T @ y, y.T @ x, beta, **options)


def objective(x: Tensor, y: Tensor, codes: Tensor, beta: float) -> Tensor:
    return (x.double() - y.double() @ codes).square().sum(0) + beta * codes.abs().sum(0)


def violation(x: Tensor, y: Tensor, codes: Tensor, beta: float) -> float:
    """The largest distance of minus the gradient from beta times the subgradient of the norm."""
    down = 2 * y.double().T @ (x.double() - y.double() @ codes)
    inside = (down.abs() - beta).clamp(min=0)
    return float(torch.where(codes == 0, inside, (down - beta * codes.sign()).abs()).max())


@pytest.mark.parametrize("beta", [3.0, 0.4, 0.1, 0.01, 1e-3])
@pytest.mark.parametrize(
    ("channels", "n", "m"), [(1, 3, 1), (40, 1, 1), (97, 13, 31), (16, 11, 40), (256, 24, 70)]
)
def test_optimality(beta: float, channels: int, n: int, m: int) -> None:
    x, y = features(0, 1, channels, n)[0], features(1, 1, channels, m)[0]
    codes = codes_of(x, y, beta)
    assert violation(x, y, codes, beta) <= 1e-6 * beta + 1e-12
    if beta == 3.0:
        assert not codes.any()  # no correlation of unit columns exceeds beta / 2


@pytest.mark.parametrize("beta", [0.4, 0.05, 0.005])
def test_equals_scikit_learn(beta: float) -> None:
    x, y = features(0, 1, 120, 9)[0].double(), features(1, 1, 120, 30)[0].double()
    codes = codes_of(x, y, beta, tolerance=1e-9)
    # Its objective is ||x - Y w||^2 / (2 C) + alpha ||w||_1.
    model = Lasso(alpha=beta / 240, fit_intercept=False, tol=1e-14, max_iter=200_000)
    for n in range(9):
        expected = torch.from_numpy(model.fit(y.numpy(), x[:, n].numpy()).coef_)
        torch.testing.assert_close(codes[:, n], expected, atol=1e-6, rtol=0)
    assert ((codes != 0).sum(0) > 0).all()


def test_one_column_shrinks_by_half_beta() -> None:
    codes = lasso_codes(torch.tensor([[4.0]]), torch.tensor([[3.0, -3.0, 0.1]]), 0.4)
    torch.testing.assert_close(codes, torch.tensor([[2.8 / 4, -2.8 / 4, 0.0]]))


def test_orthonormal_columns_are_thresholded() -> None:
    y, _ = torch.linalg.qr(torch.randn(20, 8, dtype=torch.float64))
    x = torch.randn(20, 5, dtype=torch.float64)
    torch.testing.assert_close(codes_of(x, y, 0.7), F.softshrink(y.T @ x, 0.35))


@pytest.mark.parametrize("beta", [0.4, 0.01])
def test_dependent_gallery_columns(beta: float) -> None:
    x, y = features(0, 1, 30, 12)[0], features(1, 1, 30, 9)[0]
    doubled = torch.cat([y, y, torch.zeros(30, 2), -y[:, :4]], dim=1)
    codes = codes_of(x, doubled, beta)
    assert violation(x, doubled, codes, beta) <= 1e-6 * beta
    torch.testing.assert_close(
        objective(x, doubled, codes, beta), objective(x, y, codes_of(x, y, beta), beta)
    )


def test_signs_of_both_kinds_and_sign_changes() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(25, 40, generator=generator)
    y = torch.randn(25, 60, generator=generator)
    for beta in (5.0, 0.5, 0.02):
        codes = codes_of(x, y, beta)
        assert violation(x, y, codes, beta) <= 1e-6 * beta
        assert (codes > 0).any() and (codes < 0).any()


def test_columns_are_coded_independently() -> None:
    x, y = features(0, 1, 64, 15)[0], features(1, 1, 64, 30)[0]
    together = codes_of(x, y, 0.1)
    for n in (0, 7, 14):
        torch.testing.assert_close(codes_of(x[:, n : n + 1], y, 0.1)[:, 0], together[:, n])


def test_no_columns() -> None:
    assert lasso_codes(torch.eye(3), torch.empty(3, 0)).shape == (3, 0)
    assert lasso_codes(torch.empty(0, 0), torch.empty(0, 4)).shape == (0, 4)


def test_bad_arguments_are_named() -> None:
    x, y = features(0, 1, 64, 15)[0], features(1, 1, 64, 30)[0]
    with pytest.raises(ValueError, match="beta must be > 0, got 0"):
        codes_of(x, y, 0)
    with pytest.raises(RuntimeError, match=r"15 of 15 lasso codes.*raise max_steps"):
        codes_of(x, y, 0.01, max_steps=2)
    with pytest.raises(ValueError, match="channels differ"):
        lasso_distance(x[None], y[None, :8])
    with pytest.raises(ValueError, match="0 to 0"):
        lasso_distance(x[None], y[None], torch.tensor([[0, 1]]))
    with pytest.raises(ValueError, match="gallery columns of image 0"):
        lasso_distance(x[None], y[None] / 0)
    with pytest.raises(ValueError, match="query columns of image 0"):
        lasso_distance(x[None] / 0, y[None])


def test_no_gram_matrix_is_an_error_and_no_code() -> None:
    """A gallery column of length zero that the query correlates with: nothing can be solved for."""
    with pytest.raises(torch.linalg.LinAlgError, match="singular"):
        lasso_codes(torch.zeros(2, 2), torch.ones(2, 3), 0.1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
def test_distance_of_pairs(dtype: torch.dtype) -> None:
    query, gallery = features(0, 4, 48, 7).to(dtype), features(1, 5, 48, 11).to(dtype)
    found = lasso_distance(query, gallery, beta=0.1)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for i in range(4):
        for j in range(5):
            x, y = query[i].double(), gallery[j].double()
            error = (x - y @ codes_of(x, y, 0.1)).square().sum() / 7
            torch.testing.assert_close(found[i, j].double(), error, atol=1e-7, rtol=0)


def test_ragged_images_pairs_and_memory() -> None:
    sizes_q, sizes_g = [5, 17, 1, 9], [8, 3, 21, 1, 13]
    query = [features(i, 1, 40, n)[0] for i, n in enumerate(sizes_q)]
    gallery = [features(50 + i, 1, 40, m)[0] for i, m in enumerate(sizes_g)]
    whole = lasso_distance(query, gallery)
    for i, q in enumerate(query):
        for j, g in enumerate(gallery):
            torch.testing.assert_close(lasso_distance(q[None], g[None])[0, 0], whole[i, j])
    torch.testing.assert_close(lasso_distance(query, gallery, memory_bytes=1), whole)
    pairs = torch.tensor([[0, 2], [3, 4], [3, 1], [2, 0], [0, 2]])
    some = lasso_distance(query, gallery, pairs)
    torch.testing.assert_close(some, whole[pairs[:, 0], pairs[:, 1]])
    assert lasso_distance([], gallery).shape == (0, 5)
    assert lasso_distance(query, []).shape == (4, 0)


def test_a_crop_is_nearer_than_a_stranger() -> None:
    gallery = features(1, 6, 128, 32)
    found = lasso_distance(gallery[:, :, 8:20], gallery)
    assert found.argmin(1).tolist() == list(range(6))


def test_identical_columns_leave_the_shrinkage() -> None:
    # x = y_1 alone: w = 1 - beta / 2, so the residual is beta / 2 long.
    y = torch.eye(6)[None, :, :3]
    found = lasso_distance(y, y, beta=0.4)
    torch.testing.assert_close(found, torch.tensor([[0.04]]))


@pytest.mark.parametrize("beta", [0.4, 0.02])
def test_codes_of_several_pairs_are_those_of_each(beta: float) -> None:
    """The pairs need from one step to dozens, and are finished at different times."""
    x, y = features(0, 5, 64, 9).double(), features(1, 5, 64, 24).double()
    x[1] = 0
    y[2, :, 7] = y[2, :, 3]
    x[3] = y[3, :, :9]
    gram, correlation = y.mT @ y, y.mT @ x
    together = lasso_codes(gram, correlation, beta)
    assert together.shape == (5, 24, 9)
    for pair in range(5):
        alone = lasso_codes(gram[pair], correlation[pair], beta)
        # Two equal columns share a coefficient in any way.
        torch.testing.assert_close(y[pair] @ together[pair], y[pair] @ alone, atol=1e-9, rtol=0)
        assert violation(x[pair], y[pair], together[pair], beta) <= 1e-6 * beta + 1e-12
    none = lasso_codes(gram[:0], correlation[:0], beta)
    assert none.shape == (0, 24, 9)


def test_several_pairs_say_that_steps_were_too_few() -> None:
    x, y = features(0, 2, 64, 9).double(), features(1, 2, 64, 24).double()
    with pytest.raises(RuntimeError, match="of 18 lasso codes are not optimal"):
        lasso_codes(y.mT @ y, y.mT @ x, 0.02, max_steps=3)
