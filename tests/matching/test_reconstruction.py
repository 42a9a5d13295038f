"""The fast reconstruction distance against a solve per pair in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from partialreid.matching.reconstruction import (
    reconstruction_distance,
    reconstruction_distance_topk,
)
from tests.conformance_columns import recorded_distances
from tests.reconstruction_oracle import features, oracle, weights_of

# What float16 and bfloat16 storage loses is in the columns before the distance sees them.
TOLERANCE = {
    torch.float64: 1e-10,
    torch.float32: 5e-6,
    torch.float16: 5e-6,
    torch.bfloat16: 5e-6,
}


@pytest.mark.parametrize(
    ("queries", "galleries", "channels", "n", "m"),
    [
        (1, 1, 1, 1, 1),
        (1, 1, 64, 1, 7),
        (3, 5, 64, 7, 1),
        (7, 11, 97, 13, 31),
        (5, 3, 31, 23, 13),  # more columns than a third of the channels
        (3, 4, 16, 24, 40),  # more gallery columns than channels: everything is nearly exact
        (17, 9, 128, 31, 29),
        (2, 3, 512, 110, 70),
    ],
)
@pytest.mark.parametrize("squared", [False, True])
def test_equals_the_oracle(
    queries: int, galleries: int, channels: int, n: int, m: int, squared: bool
) -> None:
    query, gallery = features(0, queries, channels, n), features(1, galleries, channels, m)
    weights = weights_of(2, queries, n)
    for w in (weights, None):
        expected = oracle(query, gallery, w, squared=squared)
        found = reconstruction_distance(query, gallery, w, squared=squared)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, atol=5e-6, rtol=0)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_dtypes(dtype: torch.dtype) -> None:
    query, gallery = features(0, 6, 96, 17).to(dtype), features(1, 9, 96, 29).to(dtype)
    found = reconstruction_distance(query, gallery, weights_of(2, 6, 17))
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    expected = oracle(query, gallery, weights_of(2, 6, 17))
    torch.testing.assert_close(found.double(), expected, atol=TOLERANCE[dtype], rtol=0)


def test_half_storage_keeps_the_ranking() -> None:
    query, gallery = features(0, 8, 256, 35), features(1, 60, 256, 35)
    exact = oracle(query, gallery)
    for dtype, bound in ((torch.float16, 1e-4), (torch.bfloat16, 1e-3)):
        stored = reconstruction_distance(query.to(dtype), gallery.to(dtype))
        assert (stored - exact).abs().max() < bound
        for row, expected in zip(stored, exact):
            ours, theirs = (
                set(x.topk(10, largest=False).indices.tolist()) for x in (row, expected)
            )
            assert len(ours & theirs) >= 9
    mixed = reconstruction_distance(query.half(), gallery)
    assert (mixed - exact).abs().max() < 1e-4


@pytest.mark.parametrize("kappa", [10.0, 1.0, 1e-3, 1e-6, 1e-9, 1e-14, 1e-25])
def test_any_kappa(kappa: float) -> None:
    query, gallery = features(0, 3, 40, 11), features(1, 4, 40, 19)
    expected = oracle(query, gallery, kappa=kappa)
    found = reconstruction_distance(query, gallery, kappa=kappa)
    torch.testing.assert_close(found.double(), expected, atol=5e-6, rtol=0)


@pytest.mark.parametrize("kappa", [1e-3, 1e-12, 1e-20])
def test_duplicate_columns(kappa: float) -> None:
    gallery = features(1, 4, 40, 9)
    doubled = torch.cat([gallery, gallery, gallery[:, :, :3]], dim=2)
    query = features(0, 3, 40, 11)
    # Two copies share one coefficient: G G' doubles, which a column scaled by sqrt(2) does too.
    scale = torch.full((9,), 2**0.5)
    scale[:3] = 3**0.5
    expected = oracle(query, gallery * scale, kappa=kappa)
    found = reconstruction_distance(query, doubled, kappa=kappa)
    torch.testing.assert_close(found.double(), expected, atol=5e-6, rtol=0)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 30.0, 1e3])
def test_columns_need_not_be_normalised(scale: float) -> None:
    query, gallery = scale * features(0, 4, 64, 13), scale * features(1, 5, 64, 31)
    found = reconstruction_distance(query, gallery).double()
    torch.testing.assert_close(found, oracle(query, gallery), atol=5e-6 * scale, rtol=0)


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 0.3])
@pytest.mark.parametrize("channels", [64, 512])
def test_near_copies(noise: float, channels: int) -> None:
    gallery = features(1, 5, channels, 37)
    extra = torch.randn(gallery.shape, generator=torch.Generator().manual_seed(3))
    query = F.normalize(gallery + noise * extra / channels**0.5, dim=1)
    for squared in (False, True):
        found = reconstruction_distance(query, gallery, squared=squared)
        expected = oracle(query, gallery, squared=squared)
        torch.testing.assert_close(found.double(), expected, atol=5e-6, rtol=0)


def test_zero_maps() -> None:
    query, gallery = features(0, 3, 32, 9), features(1, 4, 32, 11)
    query[1], gallery[2] = 0, 0
    query[2, :, 4], gallery[3, :, 5] = 0, 0
    found = reconstruction_distance(query, gallery)
    assert found[1].abs().max() == 0
    torch.testing.assert_close(found[0, 2], torch.tensor(1.0))
    torch.testing.assert_close(found.double(), oracle(query, gallery), atol=5e-6, rtol=0)


def test_order_of_cells_does_not_matter() -> None:
    query, gallery = features(0, 4, 64, 15), features(1, 5, 64, 21)
    weights = weights_of(2, 4, 15)
    whole = reconstruction_distance(query, gallery, weights)
    shuffled = reconstruction_distance(query, gallery[:, :, torch.randperm(21)], weights)
    torch.testing.assert_close(shuffled, whole, atol=2e-6, rtol=0)
    order = torch.randperm(15)
    shuffled = reconstruction_distance(query[:, :, order], gallery, weights[:, order])
    torch.testing.assert_close(shuffled, whole, atol=2e-6, rtol=0)


def test_a_crop_is_nearer_than_a_stranger() -> None:
    gallery = features(1, 12, 128, 32)
    crops = gallery[:, :, 8:20]
    found = reconstruction_distance(crops, gallery)
    assert found.argmin(1).tolist() == list(range(12))
    strangers = found + torch.eye(12)
    assert found.diagonal().max() < 0.1 * strangers.min()


def test_more_columns_never_reconstruct_worse() -> None:
    query, gallery = features(0, 3, 64, 9), features(1, 4, 64, 30)
    some, more = (reconstruction_distance(query, gallery[:, :, :m]) for m in (15, 30))
    # Not exact for a ridge, but for kappa far below the squared singular values.
    assert (more < some).all()


def test_inputs_stay_as_they_are() -> None:
    query, gallery = features(0, 3, 32, 9), features(1, 4, 32, 9)
    copies = query.clone(), gallery.clone()
    query.requires_grad_()
    found = reconstruction_distance(query, gallery)
    assert not found.requires_grad
    assert torch.equal(query, copies[0]) and torch.equal(gallery, copies[1])
    transposed = gallery.transpose(1, 2).contiguous().transpose(1, 2)
    torch.testing.assert_close(reconstruction_distance(query, transposed), found)


def test_recorded_distances() -> None:
    query, gallery, near, weights, expected = recorded_distances()
    shortlist = near.sort(dim=1, stable=True).indices[:, :100]
    found = reconstruction_distance_topk(query, gallery, shortlist, weights)
    torch.testing.assert_close(found, expected.gather(1, shortlist), atol=1e-5, rtol=0)
    assert (expected < 100).sum() == 6 * 100
    some = reconstruction_distance(query[:3], gallery[:20], weights[:3]).double()
    exact = oracle(query[:3], gallery[:20], weights[:3])
    torch.testing.assert_close(some, exact, atol=5e-6, rtol=0)


@pytest.mark.cuda
def test_cuda_equals_cpu() -> None:
    query, gallery = features(0, 9, 256, 31), features(1, 12, 256, 37)
    gallery[4, :, :31] = query[2]
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        found = reconstruction_distance(query.cuda(), gallery.cuda())
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    torch.testing.assert_close(found.double().cpu(), oracle(query, gallery), atol=5e-6, rtol=0)
