"""Sparse codes and the distance of DSR (He et al., CVPR 2018).

Shapes: Q queries, G galleries, P pairs, C channels, N query columns, M gallery columns, R columns
coded together, S columns of R that are active at once (the most of any).

Each column is coded by feature-sign search (Lee et al., NIPS 2006) on Gram matrices: no step
depends on C, and the solution is exact. First-order methods take hundreds to thousands of steps
here, since all of a person's columns share most of their direction.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .columns import ColumnBlocks, Columns, check_fit
from .precision import full_precision
from .reconstruction import Track
from .shortlists import check_pairs, pairs_by_gallery

BETA = 0.4
TOLERANCE = 1e-6
MEMORY_BYTES = 512 * 2**20
# Relative to the diagonal: lets dependent active columns be solved for, after which the line
# search drops one of them.
JITTER = 1e-12
# Share of the gradient's terms up to which float64 can settle it, the jitter included.
ROUNDING = 1e-11


def lasso_codes(
    gram: Tensor,
    correlation: Tensor,
    beta: float = BETA,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int | None = None,
) -> Tensor:
    """Find argmin_w ||x - Y w||^2 + beta ||w||_1 for each column x (DSR, equation 2).

    A column is finished when its gradient lies within `tolerance` * beta of what optimality asks
    (the Karush-Kuhn-Tucker conditions): -beta sign(w_m) where w_m is not zero, and between -beta
    and beta where it is.

    The steps depend on values: on a GPU the host waits for it twice in each. Bring Gram matrices
    to the CPU where there are few of them.

    Args:
        gram: (M, M), Y'Y; or (P, M, M), those of P pairs, whose columns are then coded together.
        correlation: (M, R), Y'X; or (P, M, R).
        beta: weight of the L1 norm, > 0.
        tolerance: largest violation of optimality, as a share of beta (float64 sets a limit).
        max_steps: bound on the steps; 20 M + 100 by default, many times what is needed.

    Returns:
        (M, R) or (P, M, R) codes in the dtype of `correlation`, found in float64.

    Raises:
        ValueError: beta <= 0.
        RuntimeError: `max_steps` were not enough.
        torch.linalg.LinAlgError: `gram` is no Gram matrix, and `correlation` not of its columns.
    """
    if not beta > 0:
        raise ValueError(f"beta must be > 0, got {beta}")
    gram, wanted = gram.double(), correlation.double().mT
    shape = wanted.shape
    several = gram.dim() == 3
    wanted = wanted.flatten(0, 1) if several else wanted
    codes = torch.zeros_like(wanted)
    columns = torch.arange(len(codes), device=codes.device)
    if not codes.numel():
        return codes.view(shape).mT.to(correlation.dtype)
    largest = gram.diagonal(dim1=-2, dim2=-1).amax(-1)
    pair = None
    failed = torch.zeros((), dtype=torch.int64, device=codes.device)
    for _ in range(20 * gram.shape[-1] + 100 if max_steps is None else max_steps):
        code, target = codes[columns], wanted[columns]
        if several:
            pair = columns // shape[1]
            gradient = 2 * ((codes.view(shape) @ gram).flatten(0, 1)[columns] - target)
            rounding = ROUNDING * largest[pair] * code.abs().sum(1)
        else:
            gradient = 2 * (code @ gram - target)
            rounding = ROUNDING * largest * code.abs().sum(1)
        signs = code.sign()
        allowed = tolerance * beta + rounding
        slack = (gradient + beta * signs).abs().masked_fill(signs == 0, 0).amax(1)
        excess, entering = (gradient.abs() - beta).masked_fill(signs != 0, -beta).max(1)
        settled = slack <= allowed
        left = (~settled | (excess > allowed)).nonzero().flatten()
        if not len(left):
            return codes.view(shape).mT.to(correlation.dtype)
        # One more gallery column joins where the present ones are at their optimum.
        settled, entering, signs, gradient = (
            part[left] for part in (settled, entering[:, None], signs, gradient)
        )
        joined = torch.where(
            settled[:, None], -gradient.gather(1, entering).sign(), signs.gather(1, entering)
        )
        signs = signs.scatter(1, entering, joined)
        size = (signs != 0).sum(1, keepdim=True)
        # Whether the solution before failed is read here, as the host waits once for both. What
        # such a solution left is not taken for a code: nothing is finished that is not optimal.
        most, unsolved = torch.stack([size.max(), failed]).tolist()
        if unsolved:
            raise torch.linalg.LinAlgError("an active set's Gram matrix is singular")
        columns = columns[left]
        codes[columns], failed = _step(
            gram,
            None if pair is None else pair[left],
            target[left],
            code[left],
            gradient,
            signs,
            size,
            most,
            beta,
        )
    raise RuntimeError(
        f"{len(columns)} of {len(codes)} lasso codes are not optimal to {tolerance} beta after the "
        "last step: raise max_steps or tolerance"
    )


def _step(
    gram: Tensor,
    pair: Tensor | None,
    target: Tensor,
    code: Tensor,
    gradient: Tensor,
    signs: Tensor,
    size: Tensor,
    most: int,
    beta: float,
) -> tuple[Tensor, Tensor]:
    """Move codes (R, M) to the optimum for the given signs, or to the best sign change before.

    `pair` (R,) says which Gram matrix is each code's where there are several. `size` (R, 1) counts
    the signs of each code, at most `most`. Beside the codes it says how many could not be solved
    for.
    """
    active = (signs == 0).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
    padding = torch.arange(active.shape[1], device=code.device) >= size
    if pair is None:
        system = gram[active[:, :, None], active[:, None, :]]
    else:
        system = gram[pair[:, None, None], active[:, :, None], active[:, None, :]]
    system.masked_fill_(padding[:, :, None] | padding[:, None, :], 0)
    diagonal = system.diagonal(dim1=1, dim2=2)
    diagonal.mul_(1 + JITTER).masked_fill_(padding, 1)
    goal = target.gather(1, active) - beta / 2 * signs.gather(1, active)
    old = code.gather(1, active)
    optimum, failed = torch.linalg.solve_ex(system, goal.masked_fill(padding, 0))
    change = optimum - old
    # Along the way the objective is a parabola plus beta times the L1 norm; its kinks are where
    # a coefficient changes its sign. The lowest of the kinks and the end is taken.
    crossing = old * optimum < 0
    share = torch.where(crossing, old / (old - optimum), 1.0)
    slope = (change * gradient.gather(1, active)).sum(1, keepdim=True)
    curvature = (change * (system @ change[:, :, None])[:, :, 0]).sum(1, keepdim=True)
    points = old[:, None] + share[:, :, None] * change[:, None]
    values = share * slope + share.square() * curvature + beta * points.abs().sum(2)
    best = values.argmin(1)
    rows = torch.arange(len(best), device=code.device)
    found = points[rows, best]
    found[rows, best] = found[rows, best].masked_fill(crossing[rows, best], 0)
    return code.scatter(1, active, found.masked_fill(padding, 0)), (failed != 0).sum()


@torch.no_grad()
def lasso_distance(
    query: Columns,
    gallery: Columns,
    pairs: Tensor | None = None,
    *,
    beta: float = BETA,
    tolerance: float = TOLERANCE,
    memory_bytes: int | None = None,
    track: Track = iter,
) -> Tensor:
    """Compute e = ||X - Y W||_F^2 / N with the lasso codes W (DSR, equation 3).

    Columns are taken as they are: normalise them first, `beta` is in the units of their squared
    length. The result carries no gradient; see `differentiable_distance`.

    Args:
        query: (Q, C, N), or Q tensors (C, N_q): X of each query.
        gallery: (G, C, M), or G tensors (C, M_g): Y of each gallery.
        pairs: (P, 2) integers, a query and a gallery image each; None: all pairs.
        beta, tolerance: as in `lasso_codes`.
        memory_bytes: bound on the working memory besides arguments and result, 512 MiB by
            default; less than one image needs is taken as one image.
        track: wraps the sequence of gallery images, to show how far the work is.

    Returns:
        (Q, G), or (P,) for a list of pairs, in float64 if query or gallery is, else in float32.

    Raises:
        ValueError: arguments that do not fit each other, beta <= 0, or columns that hold an
            infinity or NaN.
        RuntimeError: as in `lasso_codes`.
    """
    queries, galleries = ColumnBlocks(query, "query"), ColumnBlocks(gallery, "gallery")
    dtype = check_fit(queries, galleries)
    if pairs is None:
        shape = (len(queries), len(galleries))
        every = torch.cartesian_prod(*(torch.arange(n) for n in shape)).view(-1, 2)
        found = lasso_distance(
            query,
            gallery,
            every,
            beta=beta,
            tolerance=tolerance,
            memory_bytes=memory_bytes,
            track=track,
        )
        return found.view(shape)
    pairs = pairs.detach().cpu()
    check_pairs(pairs, len(queries), len(galleries))
    norms = queries.squared_norms(torch.float64)  # refuses an infinity or NaN before long work
    out = torch.empty(len(pairs), dtype=dtype, device=queries.device)
    bound = MEMORY_BYTES if memory_bytes is None else memory_bytes
    asked_by, asked = pairs.long().unbind(1)
    with full_precision(queries.device):
        groups = list(pairs_by_gallery(asked_by, asked, queries.by_size()))
        for image, asking, places in track(groups):
            span = galleries.stack([image], torch.float64)[0]
            galleries.require_finite(span[None], [image])
            gram = span.T @ span
            per_column = 8 * (span.shape[0] + 12 * span.shape[1] + 4 * span.shape[1] ** 2)
            step = max(1, bound // 2 // (per_column * max(queries.widest, 1)))
            for some, where in zip(asking.split(step), places.split(step)):
                numbers = some.tolist()
                counts = torch.tensor([queries.counts[i] for i in numbers])
                columns = span.new_empty(len(span), len(some), int(counts.max()))
                correlation = span.T @ queries.side_by_side(numbers, columns).flatten(1)
                codes = lasso_codes(gram, correlation, beta, tolerance=tolerance)
                # ||x - Y w||^2 without another product over channels; float64 has the digits.
                gain = (codes * (2 * correlation - gram @ codes)).sum(0).view(len(some), -1)
                lengths = norms[some.to(norms.device), : gain.shape[1]]
                errors = (lengths - gain).clamp_(min=0)
                found = errors.sum(1) / counts.clamp(min=1).to(errors.device)
                out[where.to(out.device)] = found.to(dtype)
    return out
