"""FastReID's losses in float32, whatever the network computes in.

Under autocast the products inside them would run in half precision. The triplet loss takes the
square root of the difference of two nearly equal products: an image was as far as 1.0 from itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastreid.modeling.losses import cross_entropy_loss, triplet_loss
from torch import Tensor

from .matching.precision import at_least_float32, full_precision


def cross_entropy(logits: Tensor, labels: Tensor, options: Mapping[str, Any]) -> Tensor:
    """Cross entropy with label smoothing, times its weight.

    Args:
        logits: (B, classes).
        labels: (B,) class indices.
        options: `eps`, `alpha` and `scale` of MODEL.LOSSES.CE.
    """
    with full_precision(logits.device):
        value = cross_entropy_loss(
            at_least_float32(logits), labels, options["eps"], options["alpha"]
        )
        return value * options["scale"]


def triplet(features: Tensor, labels: Tensor, options: Mapping[str, Any]) -> Tensor:
    """Triplet loss of a batch, times its weight.

    Args:
        features: (B, C).
        labels: (B,) identities.
        options: `margin`, `norm_feat`, `hard_mining` and `scale` of MODEL.LOSSES.TRI.
    """
    with full_precision(features.device):
        value = triplet_loss(
            at_least_float32(features),
            labels,
            options["margin"],
            options["norm_feat"],
            options["hard_mining"],
        )
        return value * options["scale"]
