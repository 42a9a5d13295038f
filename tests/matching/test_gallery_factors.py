"""The factors of gallery images: what is trusted, and what is refused."""

from __future__ import annotations

import pytest
import torch

from partialreid.matching.columns import NotFiniteError
from partialreid.matching.gallery_factors import direct_residuals, gallery_projectors
from partialreid.matching.reconstruction import reconstruction_distance
from tests.reconstruction_oracle import features


@pytest.mark.parametrize("kappa", [1e-3, 1e-9, 1e-16])
def test_residuals_by_projector_and_by_solving(kappa: float) -> None:
    """In float64 of the same columns: by the Gram matrix, and by singular vectors."""
    gallery, query = features(0, 3, 32, 9).double(), features(1, 1, 32, 5)[0].double()
    calls: list[None] = []
    projectors = gallery_projectors(gallery, kappa, untrusted=lambda: calls.append(None))
    assert len(calls) == (1 if kappa == 1e-16 else 0)
    for projector, columns in zip(projectors, gallery, strict=True):
        found = query.square().sum(0) - (projector @ query).square().sum(0)
        torch.testing.assert_close(
            found, direct_residuals(query, columns, kappa), atol=1e-10, rtol=1e-8
        )


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan, 1e30])
def test_no_image_with_broken_columns_is_trusted(value: float) -> None:
    """Infinite, no number, or too large to square: the image is named, whichever block it is in."""
    query, gallery = features(0, 2, 16, 5), features(1, 9, 16, 7)
    gallery[6, 3, 2] = value
    for memory in (None, 9000):
        with pytest.raises(NotFiniteError, match="gallery columns of image 6 hold an infinity"):
            reconstruction_distance(query, gallery, memory_bytes=memory)


def test_a_factor_that_fails_is_an_error_and_no_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    factor = torch.linalg.cholesky_ex

    def failing(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found, failed = factor(matrices)
        return found, failed + torch.tensor([0, 0, 1])

    monkeypatch.setattr(torch.linalg, "cholesky_ex", failing)
    with pytest.raises(torch.linalg.LinAlgError, match="trusted Gram matrix"):
        gallery_projectors(features(0, 3, 32, 9), 1e-3)
