"""The rough distance: what it approximates, and what it keeps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from partialreid.matching.coarse import (
    CoarseIndex,
    CoarseSpace,
    principal_directions,
    second_moment,
)
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.columns import NotFiniteError
from partialreid.matching.extracted import Images
from partialreid.matching.reconstruction import reconstruction_distance
from tests.reconstruction_oracle import weights_of

CHANNELS, COLUMNS = 96, 20


def people(seed: int, identities: int, noise: float) -> Tensor:
    """Columns of low rank plus noise, of which each identity has its own mixture."""
    shared = torch.randn(CHANNELS, 24, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(11)
    own = torch.randn(identities, 24, COLUMNS, generator=generator)
    other = torch.Generator().manual_seed(seed)
    columns = shared @ own + noise * torch.randn(identities, CHANNELS, COLUMNS, generator=other)
    return F.normalize(columns, dim=1)


def space(gallery: Tensor, dimensions: int, kappa: float) -> CoarseSpace:
    images = range(len(gallery))
    basis = principal_directions(second_moment(gallery, images), dimensions, gallery.dtype)
    length = basis.shape[1] * (basis.shape[1] + 1) // 2
    empty = CoarseSpace(basis, kappa, torch.zeros(length, dtype=gallery.dtype))
    return empty._replace(mean=empty.packed(gallery, images).mean(0))


def test_second_moment_and_directions() -> None:
    gallery = people(1, 70, 0.5).double()
    flat = gallery.transpose(0, 1).flatten(1)
    torch.testing.assert_close(second_moment(gallery, range(70)), flat @ flat.T)
    some = gallery[[3, 9]].transpose(0, 1).flatten(1)
    torch.testing.assert_close(second_moment(gallery, [3, 9]), some @ some.T)
    basis = principal_directions(flat @ flat.T, 5, torch.float64)
    left, _, _ = torch.linalg.svd(flat, full_matrices=False)
    torch.testing.assert_close(basis @ basis.T, left[:, :5] @ left[:, :5].T)


def test_squared_and_complete_it_is_the_exact_distance() -> None:
    """With all channels and squared residuals nothing but the 8-bit levels is rough."""
    gallery, query = people(1, 9, 1.0).double(), people(2, 5, 1.0).double()
    weights = weights_of(3, 5, COLUMNS).double()
    index = CoarseIndex(space(gallery, CHANNELS, 0.05), gallery)
    rough = index.distances(query, weights, squared=True)
    exact = reconstruction_distance(query, gallery, weights, kappa=0.05, squared=True)
    difference = rough - exact
    # A constant for each query is left.
    error = (difference - difference.mean(1, keepdim=True)).abs().max()
    assert error < 0.02 * exact.std()


def test_tangent_ranks_like_the_root() -> None:
    gallery, query = people(1, 60, 0.6).double(), people(2, 60, 0.6).double()
    weights = weights_of(3, 60, COLUMNS).double() ** 3
    index = CoarseIndex(space(gallery, CHANNELS, 0.05), gallery)
    exact = reconstruction_distance(query, gallery, weights, kappa=0.05)

    def correlation(rough: Tensor) -> float:
        rows = [torch.corrcoef(torch.stack([a, b]))[0, 1] for a, b in zip(rough, exact)]
        return float(torch.stack(rows).mean())

    tangent = correlation(index.distances(query, weights))
    assert tangent > 0.97
    assert tangent > correlation(index.distances(query, weights, squared=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_right_image_is_in_a_short_list(dtype: torch.dtype) -> None:
    gallery, query = people(1, 300, 1.5).to(dtype), people(2, 300, 1.5).to(dtype)
    weights = weights_of(3, 300, COLUMNS)
    rough = CoarseIndex(space(gallery.float(), 16, 0.3), gallery).distances(query.float(), weights)
    exact = reconstruction_distance(query, gallery, weights)
    shortlist = rough.argsort(1)[:, :30]
    found = (shortlist == exact.argmin(1, keepdim=True)).any(1).float().mean()
    assert found > 0.97
    by_chance = 30 / 300
    assert found > 5 * by_chance


def test_ragged_images_and_order() -> None:
    gallery = people(1, 12, 1.0)
    weights = weights_of(3, 12, COLUMNS)
    index = CoarseIndex(space(gallery, 16, 0.3), gallery)
    counts = [COLUMNS - i % 5 for i in range(12)]
    cut = [image[:, :n] for image, n in zip(gallery, counts)]
    cut_weights = [row[:n] for row, n in zip(weights, counts)]
    together = index.distances(cut, cut_weights)
    for i in range(12):
        alone = index.distances([cut[i]], [cut_weights[i]])
        torch.testing.assert_close(alone[0], together[i], atol=1e-5, rtol=1e-4)
    shuffled = gallery[:, :, torch.randperm(COLUMNS)]
    again = CoarseIndex(index.space, shuffled).distances(cut, cut_weights)
    torch.testing.assert_close(again, together, atol=0.02 * float(together.std()), rtol=0)


@pytest.mark.parametrize(("sample", "every"), [(10, 4), (13, 3), (40, 1), (1000, 1), (1, 40)])
def test_so_many_images_determine_the_space(sample: int, every: int) -> None:
    gallery, weights = people(1, 40, 1.0), weights_of(3, 40, COLUMNS)
    images = Images(torch.zeros(40, 4), gallery, weights)
    rough = build_coarse(images, 8, 0.3, sample=sample)
    assert rough is not None
    wanted = CoarseIndex(space(gallery[::every], 8, 0.3), gallery).distances(gallery, weights)
    torch.testing.assert_close(rough(images), wanted, atol=1e-4, rtol=1e-4)
    if every > 1:
        whole = build_coarse(images, 8, 0.3)
        assert whole is not None
        assert (whole(images) - wanted).abs().max() > 1e-3


def test_more_dimensions_than_channels_and_one_image() -> None:
    gallery, weights = people(1, 1, 1.0), weights_of(3, 1, COLUMNS)
    images = Images(torch.zeros(1, 4), gallery, weights)
    rough = build_coarse(images, 500, 0.3)
    assert rough is not None
    assert rough(images).shape == (1, 1)
    assert torch.isfinite(rough(images)).all()
    assert build_coarse(Images(torch.zeros(0, 4), [], []), 500, 0.3) is None


def test_an_image_that_cannot_be_inverted_is_refused() -> None:
    gallery = people(0, 3, 0.3)
    # Without a ridge a matrix of no columns has no inverse.
    without = space(gallery, 8, 0.3)._replace(kappa=0.0)
    gallery[1] = 0
    with pytest.raises(NotFiniteError, match="gallery columns of image 1"):
        CoarseIndex(without, gallery)


def test_broken_columns_are_refused_by_their_image() -> None:
    gallery = people(0, 70, 0.3)
    fitted = space(gallery, 8, 0.3)
    gallery[66, 5, 3] = torch.nan
    with pytest.raises(NotFiniteError, match="gallery columns of image 66"):
        CoarseIndex(fitted, gallery)
