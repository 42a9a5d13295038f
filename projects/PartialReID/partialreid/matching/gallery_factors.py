"""Ridge reconstruction of query columns from one gallery image's columns.

Shapes: G galleries, C channels, M gallery columns, R query columns.

With the gallery's columns as G = U S V' and W = (G'G + kappa I)^-1 G'q, the residual is
||q - G W||^2 = ||q||^2 - ||P'q||^2 for P = U sqrt(1 - (kappa / (S^2 + kappa))^2).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# A Gram matrix is off by about its trace times the epsilon of its dtype. Beyond this share of
# kappa the ridge no longer hides that, and the next more careful computation is used. Rounding
# alone.
TRUSTED_SHARE_OF_KAPPA = 0.03


def gallery_projectors(
    columns: Tensor,
    kappa: float,
    out: Tensor | None = None,
    untrusted: Callable[[], None] | None = None,
) -> Tensor:
    """Compute P' of each gallery image, so that ||q - G W||^2 = ||q||^2 - ||P'q||^2.

    P times any orthogonal matrix serves as well as P. With A = G'G + kappa I it holds that
    P P' = G A^-1 (A + kappa I) A^-1 G', so G A^-1 chol(A + kappa I) is such a matrix, and no
    singular vectors are needed.

    On a GPU the host waits twice: to see whether the Gram matrices are trusted, and whether they
    could be factored.

    Args:
        columns: (G, C, M) gallery columns, finite.
        kappa: the ridge, > 0.
        out: (G, M, C) in the dtype of `columns`, where to put the result.
        untrusted: called before the more careful computations. No Gram matrix with an infinity or
            NaN is trusted, so that columns need not be looked through for them before.

    Returns:
        (G, M, C): P' of every image.

    Raises:
        torch.linalg.LinAlgError: a trusted matrix could not be factored.
    """
    if out is None:
        out = torch.empty_like(columns.mT, memory_format=torch.contiguous_format)
    gram = columns.mT @ columns
    if not _trusted(gram, kappa):
        if untrusted is not None:
            untrusted()
        columns = columns.double()
        gram = columns.mT @ columns
        if not _trusted(gram, kappa):
            basis, gain = _singular_basis(columns, kappa)
            # Fewer than M vectors where C < M.
            out.zero_()
            out[:, : gain.shape[1]] = (basis * (gain * (2 - gain)).sqrt().unsqueeze(1)).mT
            return out
    gram = gram.double()
    shifted, failed = torch.linalg.cholesky_ex(_with_ridge(gram, 2 * kappa))
    factor, failed_too = torch.linalg.cholesky_ex(_with_ridge(gram, kappa))
    mixing = torch.cholesky_solve(shifted, factor).mT.to(columns.dtype)
    if out.dtype == columns.dtype:
        torch.bmm(mixing, columns.mT, out=out)
    else:
        out.copy_(mixing @ columns.mT)
    # Looked at last and together: the host waits once, when there is nothing more to ask for.
    if (failed | failed_too).any():
        raise torch.linalg.LinAlgError("a trusted Gram matrix could not be factored")
    return out


def direct_residuals(query: Tensor, gallery: Tensor, kappa: float) -> Tensor:
    """Compute squared residuals ||q - G W||^2 by solving for W in float64.

    Slower than the projector, but it keeps its digits where the residual is nearly zero.

    Args:
        query: (C, R) query columns.
        gallery: (C, M) columns of one gallery image.
        kappa: the ridge, > 0.

    Returns:
        (R,) in the dtype of `query`.
    """
    wanted, span = query.double(), gallery.double()
    gram = span.T @ span
    if _trusted(gram, kappa):
        factor = torch.linalg.cholesky(_with_ridge(gram, kappa))
        rebuilt = span @ torch.cholesky_solve(span.T @ wanted, factor)
    else:
        basis, gain = _singular_basis(span, kappa)
        rebuilt = basis @ (gain.unsqueeze(1) * (basis.T @ wanted))
    return (wanted - rebuilt).square().sum(0).to(query.dtype)


def _trusted(gram: Tensor, kappa: float) -> bool:
    """Whether the rounding of every Gram matrix (..., M, M) is small beside kappa."""
    error = gram.diagonal(dim1=-2, dim2=-1).sum(-1) * torch.finfo(gram.dtype).eps
    return bool((error <= TRUSTED_SHARE_OF_KAPPA * kappa).all())


def _with_ridge(gram: Tensor, ridge: float) -> Tensor:
    return gram + ridge * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)


def _singular_basis(columns: Tensor, kappa: float) -> tuple[Tensor, Tensor]:
    """U (..., C, min(C, M)) and S^2 / (S^2 + kappa), with no condition on kappa."""
    basis, values, _ = torch.linalg.svd(columns, full_matrices=False)
    squares = values.square()
    return basis, squares / (squares + kappa)
