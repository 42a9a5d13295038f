"""DSR (He et al., CVPR 2018): softmax training, then the reconstruction verification loss.

A probe brings the cells of its map, a gallery image these and the windows of further scales; all
probe columns count alike. Scales and strides are those of the authors' later release; the paper
pools pair by pair as here. With CODES ridge this is SFR (He et al. 2018).

Shape shorthand: B batch, C channels, H x W map, N columns of all scales, N1 of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastreid.config import configurable
from fastreid.modeling.heads import REID_HEADS_REGISTRY
from fastreid.modeling.heads.embedding_head import EmbeddingHead
from fastreid.modeling.losses import cross_entropy_loss, log_accuracy
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from fastreid.utils.events import get_event_storage
from torch import Tensor

from .dsr_head import class_logits
from .partialbaseline import PartialBaseline
from .pyramid import pyramid_columns
from .verification_loss import hard_pairs, verification_loss


@REID_HEADS_REGISTRY.register()
class DSR2018Head(EmbeddingHead):
    """Global feature with BNNeck and classifier, and the columns of all scales.

    Args:
        kernels: window sizes of the scales, the first of which a probe brings.
        stride: step of the windows.
        pool: "max" or "avg".
    """

    @configurable
    def __init__(self, *, kernels: Sequence[int], stride: int, pool: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
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
        """Head of a feature map (B, C, H, W).

        Returns:
            In training a dict: `cls_outputs`, `pred_class_logits` (B, classes), `features` (B, C),
            `columns` (B, C, N) and `probe_columns` (B, C, N1). In evaluation the global feature
            after its BNNeck (B, C), the columns (B, C, N), and weights (B, N): 1 / N1 for the first
            scale and zero for the others, which only a gallery image uses.
        """
        columns, first = pyramid_columns(features, self.kernels, self.stride, self.pool)
        pooled = self.pool_layer(features)
        neck = self.bottleneck(pooled)[..., 0, 0]
        if not self.training:
            weights = columns.new_zeros(len(columns), columns.shape[2])
            weights[:, :first] = 1 / first
            return neck, columns, weights
        logits = class_logits(neck, self.weight, self.cls_layer)
        return {
            # The margin layers write into their input, so they get a copy.
            "cls_outputs": self.cls_layer(logits.clone(), targets),
            "pred_class_logits": logits * self.cls_layer.s,
            "features": pooled[..., 0, 0],
            "columns": columns,
            "probe_columns": columns[:, :, :first],
        }


@META_ARCH_REGISTRY.register()
class DSR2018(PartialBaseline):
    """Softmax loss, and from an iteration on the reconstruction verification loss.

    Args:
        verification: the config node MODEL.LOSSES.VERIFICATION.
        first_iteration: when the verification loss begins.
    """

    @configurable
    def __init__(self, *, verification: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verification = verification

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Arguments of the constructor from the config."""
        return {**super().from_config(cfg), "verification": cfg.MODEL.LOSSES.VERIFICATION}

    def losses(self, outputs: dict[str, Tensor], gt_labels: Tensor) -> dict[str, Tensor]:
        """Cross entropy, and the verification loss once its time has come.

        Args:
            outputs: what DSR2018Head returns in training.
            gt_labels: (B,) class indices.
        """
        log_accuracy(outputs["pred_class_logits"].detach(), gt_labels)
        ce, wanted = self.loss_kwargs["ce"], self.verification
        value = cross_entropy_loss(outputs["cls_outputs"], gt_labels, ce["eps"], ce["alpha"])
        losses = {"loss_cls": value * ce["scale"]}
        if get_event_storage().iter >= wanted.START_ITER:
            pairs, alpha = hard_pairs(outputs["features"].detach(), gt_labels, wanted.PAIRS)
            value = verification_loss(
                outputs["probe_columns"],
                outputs["columns"],
                pairs,
                alpha,
                codes=wanted.CODES,
                beta=wanted.LASSO_BETA,
                kappa=wanted.KAPPA,
            )
            losses["loss_verification"] = value * wanted.SCALE
        return losses
