"""The reconstruction distance as a loss: a query's own person is to be the nearest of the batch.

The systems of the table train their features by classification or by global distances, and are
then tested by another distance. This loss is on that distance itself: softmax classification, of
which the gallery images of the batch are the classes, or a triplet loss with a soft margin.

Shape shorthand: B batch, C channels, N query columns, M gallery columns, Q queries, G galleries.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..matching.block_distance import block_distance
from ..matching.precision import at_least_float32, full_precision


def some_columns(
    columns: Tensor, weights: Tensor, count: int, places: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The same `count` columns of each query, drawn by torch's global generator, and their weights.

    A query has up to a hundred columns whose windows overlap: a part of them gives the same
    distance but for noise, for a part of the time.

    Args:
        columns: (Q, C, N).
        weights: (Q, N).
        count: how many; all where there are no more.
        places: of the columns that are drawn from; None for all.

    Returns:
        (Q, C, count) and (Q, count); the weights of each query sum to 1.
    """
    found = columns.shape[2] if places is None else len(places)
    if count < found or places is not None:
        drawn = torch.randperm(found)[:count].sort().values
        drawn = drawn if places is None else places[drawn]
        drawn = drawn.to(columns.device, non_blocking=True)
        # Whole columns are copied where their channels lie side by side, as those of a head do.
        columns, weights = columns.mT.index_select(1, drawn).mT, weights.index_select(1, drawn)
    return columns, F.normalize(weights, p=1, dim=1)


def softmax_over_gallery(
    distances: Tensor, query_labels: Tensor, gallery_labels: Tensor, temperature: float
) -> Tensor:
    """Mean over queries and their matches of -log of the match's softmax share.

    A match stands against the gallery images of other identities alone, not against the other
    matches: two images of the person are both to be near.

    Args:
        distances: (Q, G).
        query_labels: (Q,) identities.
        gallery_labels: (G,) identities.
        temperature: the distance that divides a share by e, > 0.

    Returns:
        The loss; 0 where no query has a match.
    """
    logits = -distances / temperature
    match = query_labels[:, None] == gallery_labels
    others = logits.masked_fill(match, -torch.inf).logsumexp(1, keepdim=True)
    # softplus(others - logit) is -log of exp(logit) / (exp(logit) + sum of the others).
    losses = F.softplus(others - logits).masked_fill(~match, 0)
    per_query = losses.sum(1) / match.sum(1).clamp_min(1)
    return per_query.sum() / match.any(1).sum().clamp_min(1)


def soft_margin_over_gallery(
    distances: Tensor, query_labels: Tensor, gallery_labels: Tensor, temperature: float
) -> Tensor:
    """Mean over queries of log(1 + exp(margin)): the farthest match against the nearest other.

    The triplet loss with a soft margin and the hardest examples of a batch (Hermans et al., In
    defense of the triplet loss, 2017), by distances in units of the temperature.

    Args:
        distances: (Q, G), G > 0.
        query_labels: (Q,) identities.
        gallery_labels: (G,) identities.
        temperature: the difference of distances that counts as 1, > 0.

    Returns:
        The loss; 0 where no query has a match and another.
    """
    match = query_labels[:, None] == gallery_labels
    farthest = distances.masked_fill(~match, -torch.inf).amax(1)
    nearest = distances.masked_fill(match, torch.inf).amin(1)
    # Of a query without a match or without another this is softplus of minus infinity: 0.
    losses = F.softplus((farthest - nearest) / temperature)
    return losses.sum() / (match.any(1) & ~match.all(1)).sum().clamp_min(1)


KINDS = {"softmax": softmax_over_gallery, "soft_margin": soft_margin_over_gallery}


def reconstruction_loss(
    query: tuple[Tensor, Tensor, Tensor],
    gallery: tuple[Tensor, Tensor],
    *,
    kappa: float,
    temperature: float,
    columns: int,
    places: Tensor | None = None,
    kind: str = "softmax",
) -> Tensor:
    """The loss of a batch, in float32 outside autocast.

    Args:
        query: columns (Q, C, N) of any length, their weights (Q, N) and identities (Q,).
        gallery: columns (G, C, M) of any length and identities (G,).
        kappa: the ridge, > 0.
        temperature: see `softmax_over_gallery` and `soft_margin_over_gallery`.
        columns: how many of a query's columns are used.
        places: of the columns that these are drawn from; None for all.
        kind: "softmax" or "soft_margin".
    """
    found, weights, query_labels = query
    spans, gallery_labels = gallery
    with full_precision(found.device):
        found, weights = some_columns(found, weights, columns, places)
        distances = block_distance(found, spans, at_least_float32(weights), kappa)
        return KINDS[kind](distances, query_labels, gallery_labels, temperature)
