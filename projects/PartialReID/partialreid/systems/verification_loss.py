"""The reconstruction verification loss of DSR (He et al., CVPR 2018, section 3.3).

Shapes: B images of a batch, D global features, C channels, N probe columns, M gallery columns,
P pairs.

An image should be reconstructed well from another of the same person and badly from one of
somebody else. The codes W are found with the network fixed, then the network takes a step with W
fixed. The sign of the pairs of two persons is our reading of the paper.

On a GPU the host waits for it a fixed number of times, however many pairs there are. Each step of
feature-sign search depends on values, so that the lasso's codes are found on the CPU: the Gram
matrices of all pairs go there at once, a megabyte or two, and the codes come back.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import CHOICES
from ..matching.differentiable import coded_distance, ridge_codes
from ..matching.lasso import BETA, lasso_codes
from ..matching.precision import at_least_float32, full_precision
from ..matching.reconstruction import KAPPA

CODES = CHOICES["MODEL.LOSSES.VERIFICATION.CODES"]
# Codes of a network that changes with every step need not be those of the last digit.
TOLERANCE = 1e-4


def hard_pairs(features: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The pairs that global features confuse most: half show one person, half show two.

    Args:
        features: (B, D) global features.
        labels: (B,) identities.
        count: P, at most; for each anchor its farthest image of the same person and its nearest of
            another. Anchors are evenly spaced over the batch.

    Returns:
        pairs (P, 2), a probe and a gallery image each, and alpha (P,): 1 for the same person, -1
        for another.
    """
    with torch.no_grad(), full_precision(features.device):
        unit = F.normalize(at_least_float32(features), dim=1)
        distance = 1 - unit @ unit.T
        same = labels[:, None] == labels
        other = ~same
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        farthest = distance.masked_fill(~same | itself, -torch.inf).argmax(1)
        nearest = distance.masked_fill(same, torch.inf).argmin(1)
        usable = ((same & ~itself).any(1) & other.any(1)).nonzero().flatten()
        wanted = min(len(usable), max(1, count // 2))
        if not wanted:
            return labels.new_zeros(0, 2, dtype=torch.long), unit.new_zeros(0)
        places = torch.linspace(0, len(usable) - 1, wanted, device=labels.device)
        anchors = usable[places.round().long()]
        pairs = torch.cat(
            [torch.stack([anchors, found[anchors]], 1) for found in (farthest, nearest)]
        )
        alpha = unit.new_ones(len(pairs))
        alpha[wanted:] = -1
        return pairs, alpha


def verification_loss(
    probe: Tensor,
    gallery: Tensor,
    pairs: Tensor,
    alpha: Tensor,
    *,
    codes: str = CODES[0],
    beta: float = BETA,
    kappa: float = KAPPA,
    tolerance: float = TOLERANCE,
) -> Tensor:
    """Mean over pairs of alpha ||X - Y W||_F^2 / N with W held fixed.

    The term beta ||W||_1 of the paper has no gradient then, and is left out.

    Args:
        probe: (B, C, N) columns; normalised here.
        gallery: (B, C, M) columns of the multi-scale dictionary; normalised here.
        pairs, alpha: of `hard_pairs`.
        codes: "lasso" as in DSR, or "ridge" as in SFR (He et al. 2018).
        beta: weight of the L1 norm.
        kappa: the ridge.
        tolerance: of the lasso, see `lasso_codes`.

    Raises:
        ValueError: unknown codes.
    """
    if codes not in CODES:
        raise ValueError(f"codes are {codes!r}; they can be {' or '.join(CODES)}")
    with full_precision(probe.device):
        x, y = (F.normalize(side.float(), dim=1) for side in (probe, gallery))
        if not len(pairs):
            return x.sum() * 0
        x, y = x[pairs[:, 0]], y[pairs[:, 1]]
        with torch.no_grad():
            if codes == "ridge":
                w = ridge_codes(x, y, kappa)
            else:
                w = _sparse_codes(x, y, beta, tolerance)
        return (alpha * coded_distance(x, y, w, squared=True)).mean()


def _sparse_codes(x: Tensor, y: Tensor, beta: float, tolerance: float) -> Tensor:
    """Codes (P, M, N) of the columns (P, C, N) by those of (P, C, M), found on the CPU."""
    # In float64: of nearly equal columns, float32 can give a Gram matrix with negative eigenvalues.
    wide = y.double()
    products = wide.mT @ torch.cat([wide, x.double()], dim=2)
    gram, correlation = products.cpu().split([y.shape[2], x.shape[2]], dim=2)
    found = lasso_codes(gram, correlation, beta, tolerance=tolerance)
    return found.to(x.device, x.dtype, non_blocking=True)
