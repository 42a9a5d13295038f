"""One pair taken apart: its parts in float64, their sums, and where the rest comes from."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from partialreid.matching.explained import (
    Explained,
    explained_lasso_pair,
    explained_pair,
    patch_links,
)
from partialreid.matching.lasso import lasso_codes, lasso_distance
from partialreid.matching.pyramid import pyramid_columns
from partialreid.matching.reconstruction import reconstruction_distance
from partialreid.matching.windows import pyramid_patches
from tests.reconstruction_oracle import features, oracle, weights_of

SIZES = [
    (1, 1, 1),
    (64, 1, 7),
    (64, 7, 1),
    (97, 13, 31),
    (31, 23, 13),
    (16, 24, 40),  # more gallery columns than channels
    (512, 70, 110),
]


def pair(channels: int, n: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
    query, gallery = features(0, 1, channels, n)[0], features(1, 1, channels, m)[0]
    return query, gallery, weights_of(2, 1, n)[0]


@pytest.mark.parametrize(("channels", "n", "m"), SIZES)
@pytest.mark.parametrize("squared", [False, True])
def test_equals_the_oracle(channels: int, n: int, m: int, squared: bool) -> None:
    query, gallery, weights = pair(channels, n, m)
    found = explained_pair(query, gallery, weights, squared=squared)
    every = oracle(query.T[:, :, None], [gallery], squared=squared)[:, 0]
    torch.testing.assert_close(found.residuals, every, atol=1e-9, rtol=0)
    wanted = oracle([query], [gallery], [weights], squared=squared)
    assert found.distance == pytest.approx(wanted.item(), abs=1e-9)
    ridge = gallery.double().T @ gallery.double() + 1e-3 * torch.eye(m, dtype=torch.float64)
    codes = torch.linalg.solve(ridge, gallery.double().T @ query.double())
    torch.testing.assert_close(found.codes, codes, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # The first is what the engine's own float32 costs it.
    [(torch.float32, 5e-6), (torch.float64, 1e-9), (torch.float16, 5e-6)],
    ids=str,
)
def test_equals_the_engine(squared: bool, dtype: torch.dtype, tolerance: float) -> None:
    query, gallery, weights = pair(128, 30, 70)
    query, gallery = query.to(dtype), gallery.to(dtype)
    found = explained_pair(query, gallery, weights, squared=squared)
    engine = reconstruction_distance(query[None], gallery[None], weights[None], squared=squared)
    assert found.distance == pytest.approx(engine.item(), abs=tolerance)
    assert all(part.dtype == torch.float64 for part in found[1:])


@pytest.mark.parametrize("kappa", [10.0, 1e-3, 1e-9, 1e-16, 1e-25])
def test_any_kappa(kappa: float) -> None:
    query, gallery, weights = pair(40, 11, 19)
    # A copy among the columns: without a ridge there would be no single solution.
    gallery = torch.cat([gallery, gallery[:, :3]], dim=1)
    found = explained_pair(query, gallery, weights, kappa)
    engine = reconstruction_distance(
        query.double()[None], gallery.double()[None], weights.double()[None], kappa=kappa
    )
    assert found.distance == pytest.approx(engine.item(), abs=1e-6)


@pytest.mark.parametrize("squared", [False, True])
def test_parts_add_up(squared: bool) -> None:
    query, gallery, weights = pair(96, 25, 40)
    found = explained_pair(query, gallery, weights, kappa=0.01, squared=squared)
    assert float(found.shares.sum()) == found.distance
    torch.testing.assert_close(found.shares, weights.double() * found.residuals)
    # What is brought, what is left over, and what the ridge costs make up a column's length.
    squares = found.residuals if squared else found.residuals.square()
    whole = found.contributions.sum(0) + squares + 0.01 * found.codes.square().sum(0)
    torch.testing.assert_close(whole, query.double().square().sum(0), atol=1e-10, rtol=0)


def test_sparse_codes_equal_their_distance() -> None:
    query, gallery, weights = pair(64, 12, 20)
    weights[8:] = 0
    found = explained_lasso_pair(query, gallery, weights, 0.1)
    wanted = lasso_distance(query[None, :, :8], gallery[None], beta=0.1)
    assert found.distance == pytest.approx(wanted.item(), abs=1e-6)
    assert found.shares[8:].abs().max() == 0 and found.shares[:8].min() > 0
    codes = lasso_codes(gallery.T @ gallery, gallery.T @ query, 0.1)
    torch.testing.assert_close(found.codes.float(), codes, atol=1e-5, rtol=0)
    assert float(found.shares.sum()) == found.distance


def noisy_crop(noise: float) -> tuple[Explained, Tensor]:
    """A map's lower part, with noise, in the map: the pair, and the patch of each patch."""
    generator = torch.Generator().manual_seed(5)
    shared = torch.rand(64, 1, 1, generator=generator)
    whole = (torch.randn(64, 16, 8, generator=generator) + shared).relu()
    cut = (whole[:, 6:] + noise * torch.randn(64, 10, 8, generator=generator)).relu()
    query, gallery = (F.normalize(pyramid_columns(x[None])[0][0], dim=0) for x in (cut, whole))
    weights = torch.full((query.shape[1],), 1 / query.shape[1])
    return explained_pair(query, gallery, weights), torch.arange(20) + 3 * 4


def test_links_lead_to_where_a_crop_was_cut() -> None:
    found, truth = noisy_crop(0.5)
    links = patch_links(found, pyramid_patches(10, 8), pyramid_patches(16, 8))
    assert links.shape == (32, 20) and links.min() >= 0
    brought = (found.contributions.clamp(min=0) * found.weights).sum()
    torch.testing.assert_close(links.sum(), brought, atol=1e-12, rtol=0)
    assert torch.equal(links.argmax(0), truth)


def test_contributions_lead_there_more_often_than_codes() -> None:
    """Why links are not made of |W|."""
    found, truth = noisy_crop(1.5)
    patches = pyramid_patches(10, 8), pyramid_patches(16, 8)
    by_codes = found._replace(contributions=found.codes.abs())
    right = [(patch_links(one, *patches).argmax(0) == truth).sum() for one in (found, by_codes)]
    assert right[0] >= right[1] + 4


def test_what_takes_away_is_no_link() -> None:
    found, _ = noisy_crop(0.5)
    taking = found._replace(contributions=-found.contributions.abs())
    assert patch_links(taking, pyramid_patches(10, 8), pyramid_patches(16, 8)).abs().max() == 0


def test_inputs_stay_as_they_are_and_carry_no_gradient() -> None:
    query, gallery, weights = pair(32, 9, 9)
    copies = query.clone(), gallery.clone(), weights.clone()
    query.requires_grad_()
    for found in (
        explained_pair(query, gallery, weights),
        explained_lasso_pair(query, gallery, weights),
    ):
        assert not any(part.requires_grad for part in found[1:])
    assert all(torch.equal(*two) for two in zip((query, gallery, weights), copies))


def test_arguments_that_do_not_fit_are_refused() -> None:
    query, gallery, weights = pair(32, 9, 12)
    with pytest.raises(ValueError, match="kappa must be > 0 and finite, got 0"):
        explained_pair(query, gallery, weights, 0)
    for function in (explained_pair, explained_lasso_pair):
        with pytest.raises(ValueError, match="channels differ: query 31, gallery 32"):
            function(query[:31], gallery, weights)
        with pytest.raises(ValueError, match="9 columns but weights of shape"):
            function(query, gallery, weights[:5])
        with pytest.raises(ValueError, match="query columns of image 0 hold an infinity"):
            function(query.masked_fill(query > 0.2, torch.inf), gallery, weights)
        with pytest.raises(ValueError, match=r"\(C, N\) tensors"):
            function(query[None], gallery, weights)
