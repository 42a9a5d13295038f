"""What the heads of all systems share: EmbeddingHead on a map that is also cut into columns.

Under autocast the backbone's map may come in half precision. The heads work in float32 all the
same: half precision has three digits, too few for weights that are shares among a hundred columns
and for logits that are cosines times a scale of 32 or more.

Shape shorthand: B batch, C channels, H x W map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from fastreid.config import configurable
from fastreid.layers import any_softmax, pooling
from fastreid.modeling.heads.embedding_head import EmbeddingHead
from torch import Tensor, nn

from .config import CHOICES
from .matching.gradient_layout import keep_gradient_layout
from .matching.precision import at_least_float32, full_precision
from .matching.pyramid import KERNELS, POOLS, STRIDE

# Without Identity and Flatten, which pool nothing: the head would read one number of each channel.
POOL_LAYERS = tuple(name for name in pooling.__all__ if name not in ("Identity", "Flatten"))
# FrozenBN is not among them: FastReID's initialisation of heads fails on it.
NORMS = ("BN", "syncBN", "GhostBN", "GN")
# The arc cosine is infinitely steep at 1, and rounding can bring a cosine to 1 or above. A guard of
# the margin layers, no setting.
LARGEST_COSINE = 1 - 1e-6


def class_logits(features: Tensor, weight: Tensor, cls_layer: nn.Module) -> Tensor:
    """Logits (B, classes): inner products for the linear layer, cosines for the margin layers."""
    if type(cls_layer) is any_softmax.Linear:
        return F.linear(features, weight)
    cosines = F.linear(F.normalize(features), F.normalize(weight))
    return cosines.clamp(-LARGEST_COSINE, LARGEST_COSINE)


def _one_of(key: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"MODEL.HEADS.{key} is {value!r}; it can be {', '.join(known)}.")


class PyramidHead(EmbeddingHead):
    """A head whose outputs, in training and evaluation, a subclass computes from a float32 map.

    Args:
        feat_dim: C of the map.
        kernels: window sizes of the pyramid.
        stride: step of the windows.
        pool: how a window is pooled, "max" or "avg".
        **kwargs: as FastReID's EmbeddingHead.

    Raises:
        ValueError: a key of MODEL.HEADS has a value that is not known, or that nothing would use.
    """

    @configurable
    def __init__(
        self,
        *,
        feat_dim: int,
        kernels: Sequence[int] = KERNELS,
        stride: int = STRIDE,
        pool: str = POOLS[0],
        **kwargs: Any,
    ) -> None:
        _one_of("NECK_FEAT", kwargs["neck_feat"], CHOICES["MODEL.HEADS.NECK_FEAT"])
        _one_of("POOL_LAYER", kwargs["pool_type"], POOL_LAYERS)
        _one_of("CLS_LAYER", kwargs["cls_type"], any_softmax.__all__)
        _one_of("DSR.POOL", pool, POOLS)
        if kwargs["with_bnneck"]:
            _one_of("NORM", kwargs["norm_type"], NORMS)
        if kwargs["cls_type"] == "Linear" and kwargs["margin"]:
            raise ValueError(
                f"MODEL.HEADS.MARGIN is {kwargs['margin']}, but MODEL.HEADS.CLS_LAYER Linear has "
                "no margin: set the first to 0, or the second to CosSoftmax, ArcSoftmax or "
                "CircleSoftmax."
            )
        super().__init__(feat_dim=feat_dim, **kwargs)
        self.feat_dim = feat_dim
        self.kernels, self.stride, self.pool = tuple(kernels), stride, pool

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Arguments of the constructor from the config."""
        arguments = super().from_config(cfg)
        dsr = cfg.MODEL.HEADS.DSR
        return {
            **arguments,
            "kernels": tuple(dsr.KERNELS),
            "stride": dsr.STRIDE,
            "pool": dsr.POOL,
        }

    def forward(self, features: Tensor, targets: Tensor | None = None) -> Any:
        """What `outputs` computes from a map (B, C, H, W), in float32 outside autocast.

        Raises:
            ValueError: the map has other channels than MODEL.BACKBONE.FEAT_DIM.
        """
        if features.shape[1] != self.feat_dim:
            raise ValueError(
                f"MODEL.BACKBONE.FEAT_DIM is {self.feat_dim}, but the backbone gives "
                f"{features.shape[1]} channels: set it to {features.shape[1]}."
            )
        # The mean of the map gives its gradient in the plain format.
        keep_gradient_layout(features)
        with full_precision(features.device):
            return self.outputs(at_least_float32(features), targets)

    def outputs(self, features: Tensor, targets: Tensor | None) -> Any:
        """Outputs of a map, in training with the classes of its images (B,)."""
        raise NotImplementedError

    def for_triplets(self, before: Tensor, after: Tensor) -> Tensor:
        """The features (B, C) that MODEL.HEADS.NECK_FEAT chooses: before or after the BNNeck."""
        return before if self.neck_feat == "before" else after
