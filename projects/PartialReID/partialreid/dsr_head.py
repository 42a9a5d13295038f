"""The head of FastReID-DSR: an occlusion unit on the pyramid beside the usual global branch.

Shape shorthand: B batch, C channels, H x W map, N columns, N1 columns of the first level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from fastreid.config import configurable
from fastreid.layers import get_norm
from fastreid.layers.weight_init import weights_init_kaiming
from fastreid.modeling.heads import REID_HEADS_REGISTRY
from torch import Tensor, nn

from .matching.pyramid import KERNELS, POOLS, STRIDE, pyramid_columns
from .pyramid_head import PyramidHead, class_logits


class OcclusionUnit(nn.Module):
    """Scores how much of each pyramid column is person, and pools the first level by the scores.

    Args:
        in_planes: C, channels of the feature map.
        kernels: window sizes of the pyramid.
        stride: step of the windows.
        pool: how a window is pooled, "max" or "avg".
    """

    def __init__(
        self,
        in_planes: int = 2048,
        kernels: Sequence[int] = KERNELS,
        stride: int = STRIDE,
        pool: str = POOLS[0],
    ) -> None:
        super().__init__()
        self.kernels = tuple(kernels)
        self.stride = stride
        self.pool = pool
        self.mask_layer = nn.Linear(in_planes, 1, bias=True)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compute columns, their weights and the foreground feature of a map (B, C, H, W).

        Returns:
            The foreground feature (B, C), the columns (B, C, N), their weights (B, N), which are
            positive and sum to one for each image, and the logits (B, N) of their probabilities
            to be foreground.
        """
        columns, first = pyramid_columns(features, self.kernels, self.stride, self.pool)
        logits = self.mask_layer(columns.transpose(1, 2)).squeeze(2)
        scores = torch.sigmoid(logits)
        weights = F.normalize(scores, p=1, dim=1)
        first_weights = F.normalize(scores[:, :first], p=1, dim=1)
        foreground = torch.einsum("bcn,bn->bc", columns[:, :, :first], first_weights)
        return foreground, columns, weights, logits


@REID_HEADS_REGISTRY.register()
class DSRHead(PyramidHead):
    """Two branches on one map: the whole map pooled, and the foreground feature.

    In training both are classified and returned for the losses; in evaluation the foreground
    feature, the columns and their weights are what matching needs.
    """

    @configurable
    def __init__(self, **kwargs: Any) -> None:
        embedding_dim = kwargs["embedding_dim"]
        if embedding_dim > 0:
            raise ValueError(
                f"MODEL.HEADS.EMBEDDING_DIM is {embedding_dim}, but DSRHead compares features of "
                "the backbone's own width: set it to 0."
            )
        super().__init__(**kwargs)
        feat_dim, num_classes = kwargs["feat_dim"], kwargs["num_classes"]
        self.occ_unit = OcclusionUnit(feat_dim, self.kernels, self.stride, self.pool)
        neck = []
        if kwargs["with_bnneck"]:
            neck.append(get_norm(kwargs["norm_type"], feat_dim, bias_freeze=True))
        self.bnneck_occ = nn.Sequential(*neck)
        self.bnneck_occ.apply(weights_init_kaiming)
        # As FastReID's EmbeddingHead starts the classifier of its own branch.
        self.weight_occ = nn.Parameter(torch.empty(num_classes, feat_dim).normal_(std=0.01))

    def outputs(self, features: Tensor, targets: Tensor | None) -> Any:
        """Outputs of a feature map (B, C, H, W).

        Returns:
            In training a dict: `cls_outputs`, `fore_cls_outputs`, `pred_class_logits` (B, classes),
            `features` and `foreground_features` (B, C), `foreground_logits` and `weights` (B, N),
            `columns` (B, C, N), and `map_size`, which is H and W. In evaluation the foreground
            feature after its BNNeck (B, C), the columns (B, C, N) and their weights (B, N).
        """
        foreground, columns, weights, foreground_logits = self.occ_unit(features)
        fore_neck = self.bnneck_occ(foreground[..., None, None])[..., 0, 0]
        if not self.training:
            return fore_neck, columns, weights

        pooled = self.pool_layer(features)
        neck = self.bottleneck(pooled)[..., 0, 0]
        logits = class_logits(neck, self.weight, self.cls_layer)
        fore_logits = class_logits(fore_neck, self.weight_occ, self.cls_layer)
        return {
            # The margin layers write into their input, so they get a copy.
            "cls_outputs": self.cls_layer(logits.clone(), targets),
            "fore_cls_outputs": self.cls_layer(fore_logits.clone(), targets),
            "pred_class_logits": logits * self.cls_layer.s,
            "features": self.for_triplets(pooled[..., 0, 0], neck),
            "foreground_features": self.for_triplets(foreground, fore_neck),
            "foreground_logits": foreground_logits,
            "columns": columns,
            "weights": weights,
            "map_size": tuple(features.shape[2:]),
        }
