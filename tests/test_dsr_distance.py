"""`compute_dsr_dist` against the original's output and a float64 oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from partialreid.dsr_distance import compute_dsr_dist, nearest
from tests.conformance_columns import recorded_distances


def oracle(query, gallery, weights, kappa: float) -> torch.Tensor:
    """Every pair by a direct solve in float64."""
    query, gallery = query.double(), gallery.double()
    out = torch.zeros(len(query), len(gallery), dtype=torch.float64)
    for j, g in enumerate(gallery):
        inverse = torch.linalg.inv(g.T @ g + kappa * torch.eye(g.shape[1], dtype=torch.float64))
        for i, q in enumerate(query):
            residual = (q - g @ (inverse @ (g.T @ q))).norm(dim=0)
            out[i, j] = (weights[i].double() * residual).sum()
    return out


def test_conformance() -> None:
    recorded = recorded_distances()
    got = compute_dsr_dist(recorded.query, recorded.gallery, recorded.near, recorded.weights)
    torch.testing.assert_close(got, recorded.wanted, atol=1e-4, rtol=0)
    assert (got == 100).sum() == 6 * 20


@pytest.mark.parametrize("topk", [0, 3])
@pytest.mark.parametrize("weighted", [True, False])
def test_arrays_come_back_as_arrays(topk: int, weighted: bool) -> None:
    torch.manual_seed(1)
    query, gallery = torch.rand(4, 24, 5), torch.rand(7, 24, 9)
    distmat, scores = torch.rand(4, 7), torch.rand(4, 5) if weighted else None
    wanted = compute_dsr_dist(query, gallery, distmat, scores, topk=topk)
    arrays = [None if x is None else x.numpy() for x in (query, gallery, distmat, scores)]
    got = compute_dsr_dist(*arrays, topk=topk)
    assert isinstance(got, np.ndarray) and isinstance(wanted, torch.Tensor)
    np.testing.assert_array_equal(got, wanted.numpy())
    # The original's callers have an array of distances beside columns that are tensors.
    mixed = compute_dsr_dist(query, gallery, arrays[2], arrays[3], topk=topk)
    assert torch.equal(mixed, wanted)


@pytest.mark.parametrize("topk", [0, 3])
@pytest.mark.parametrize("weighted", [True, False])
def test_images_of_several_sizes(topk: int, weighted: bool) -> None:
    torch.manual_seed(2)
    query = [F.normalize(torch.rand(24, n), dim=0) for n in (5, 2, 4)]
    gallery = [F.normalize(torch.rand(24, n), dim=0) for n in (9, 3, 6, 6, 1)]
    distmat = torch.rand(3, 5)
    scores = [torch.rand(q.shape[1]) for q in query] if weighted else None
    used = scores or [torch.full((q.shape[1],), 1 / q.shape[1]) for q in query]
    wanted = torch.full((3, 5), 100.0, dtype=torch.float64)
    for i, row in enumerate(distmat.argsort(1)[:, : topk or 5]):
        for j in row:
            wanted[i, j] = oracle(query[i][None], gallery[j][None], used[i][None], 1e-3)
    got = compute_dsr_dist(query, gallery, distmat, scores, topk=topk)
    torch.testing.assert_close(got.double(), wanted, atol=1e-4, rtol=0)
    arrays = [None if x is None else [part.numpy() for part in x] for x in (query, gallery, scores)]
    of_arrays = compute_dsr_dist(arrays[0], arrays[1], distmat.numpy(), arrays[2], topk=topk)
    assert isinstance(of_arrays, np.ndarray)
    np.testing.assert_array_equal(of_arrays, got.numpy())
    mixed = compute_dsr_dist(query, arrays[1], distmat.numpy(), arrays[2], topk=topk)
    assert torch.equal(mixed, got)


@pytest.mark.parametrize("kind", ["read-only", "mirrored"])
@pytest.mark.filterwarnings("error")
def test_arrays_that_torch_cannot_share(kind: str) -> None:
    torch.manual_seed(1)
    parts = [torch.rand(*shape).numpy() for shape in ((4, 24, 5), (7, 24, 9), (4, 7), (4, 5))]
    wanted = compute_dsr_dist(*parts, topk=3)
    if kind == "read-only":
        others = [part.copy() for part in parts]
        for part in others:
            part.setflags(write=False)
    else:
        others = [part[..., ::-1].copy()[..., ::-1] for part in parts]
        assert all(part.strides[-1] < 0 for part in others)
    np.testing.assert_array_equal(compute_dsr_dist(*others, topk=3), wanted)
    found = compute_dsr_dist(list(others[0]), list(others[1]), *others[2:], topk=3)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("topk", [0, 1, 3, 7, 50])
def test_topk_of_a_small_gallery(topk: int) -> None:
    torch.manual_seed(0)
    query = F.normalize(torch.rand(4, 24, 5), dim=1)
    gallery = F.normalize(torch.rand(7, 24, 9), dim=1)
    weights = torch.rand(4, 5)
    distmat = torch.rand(4, 7)
    got = compute_dsr_dist(query, gallery, distmat, weights, topk=topk, kappa=1e-2, fill=9.0)
    wanted = oracle(query, gallery, weights, 1e-2)
    count = 7 if topk in (0, 50) else topk
    kept = torch.zeros(4, 7, dtype=torch.bool)
    kept.scatter_(1, distmat.argsort(1)[:, :count], True)
    torch.testing.assert_close(got[kept].double(), wanted[kept], atol=1e-5, rtol=0)
    assert (got[~kept] == 9.0).all()


def test_equal_distances_are_taken_in_gallery_order() -> None:
    assert nearest(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), 2).tolist() == [[1, 2]]


def test_kappa_changes_the_distance() -> None:
    torch.manual_seed(0)
    query, gallery = torch.rand(1, 6, 3), torch.rand(1, 6, 3)
    near = compute_dsr_dist(query, gallery, torch.zeros(1, 1), None, kappa=1e-4)
    far = compute_dsr_dist(query, gallery, torch.zeros(1, 1), None, kappa=1.0)
    assert near < far


@pytest.mark.parametrize("topk", [2, 0, 100])
@pytest.mark.parametrize("shape", [(4, 5), (2, 6), (4, 900)])
def test_a_distance_of_other_images_is_refused(topk: int, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    query, gallery = torch.randn(4, 8, 3), torch.randn(6, 8, 3)
    with pytest.raises(
        ValueError, match=rf"distmat is \({shape[0]}, {shape[1]}\).* 4 queries .* 6"
    ):
        compute_dsr_dist(query, gallery, torch.rand(shape), None, topk=topk)


def test_a_distance_that_is_no_number_is_refused() -> None:
    near = torch.rand(4, 6)
    near[2] = torch.nan
    with pytest.raises(ValueError, match="distmat holds NaN"):
        compute_dsr_dist(torch.randn(4, 8, 3), torch.randn(6, 8, 3), near, None, topk=2)
