"""DSR (He et al., CVPR 2018): softmax training, then the reconstruction verification loss.

A scale is a level of the pyramid: the windows of one size of MODEL.HEADS.DSR.KERNELS. All scales
have the same step, MODEL.HEADS.DSR.STRIDE. A probe is described by the windows of the first size,
which all count alike. A gallery image is described by those of all sizes, so that a person who is
shown larger or smaller there can still be reconstructed.

We do not know the sizes and the step of the paper. The default ones are those of FastReID-DSR:
sizes 2, 4, 6 and 8 at step 2, so that a probe has windows of 2 x 2 cells. The authors' later
release has sizes 1, 2, 3 and 4 at step 1, so that a probe has single cells.

SFR (He et al., 2018) differs in the codes, a ridge in place of the lasso in training and test, in
residuals that are not squared, and in windows that are averaged (MODEL.HEADS.DSR.POOL).

Shape shorthand: B batch, C channels, H x W map, N columns of all scales, N1 columns of the first
scale.
"""

from __future__ import annotations

from typing import Any

from fastreid.config import configurable
from fastreid.modeling.heads import REID_HEADS_REGISTRY
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from torch import Tensor

from ..matching.pyramid import pyramid_columns
from ..partialbaseline import PartialBaseline, has_begun
from ..pyramid_head import PyramidHead, class_logits
from .verification_loss import hard_pairs, verification_loss


@REID_HEADS_REGISTRY.register()
class DSR2018Head(PyramidHead):
    """Global feature with BNNeck and classifier, and the columns of all scales."""

    def outputs(self, features: Tensor, targets: Tensor | None) -> Any:
        """Outputs of a feature map (B, C, H, W).

        Returns:
            In training a dict: `cls_outputs`, `pred_class_logits` (B, classes), `features` (B, C),
            `columns` (B, C, N) and `probe_columns` (B, C, N1). In evaluation the global feature
            after its BNNeck (B, C), the columns (B, C, N), and the weights (B, N) that they have
            when the image is a probe: 1 / N1 in the first scale, 0 in the others.
        """
        columns, first = pyramid_columns(features, self.kernels, self.stride, self.pool)
        pooled = self.pool_layer(features)
        neck = self.bottleneck(pooled)[..., 0, 0]
        if not self.training:
            weights = columns.new_zeros(columns.shape[0], columns.shape[2])
            weights[:, :first] = 1 / first
            return neck, columns, weights
        logits = class_logits(neck, self.weight, self.cls_layer)
        return {
            # The margin layers write into their input, so they get a copy.
            "cls_outputs": self.cls_layer(logits.clone(), targets),
            "pred_class_logits": logits * self.cls_layer.s,
            "features": self.for_triplets(pooled[..., 0, 0], neck),
            "columns": columns,
            "probe_columns": columns[:, :, :first],
        }


@META_ARCH_REGISTRY.register()
class DSR2018(PartialBaseline):
    """The losses of MODEL.LOSSES.NAME, and from START_ITER on the verification loss.

    Args:
        verification: the config node MODEL.LOSSES.VERIFICATION.
        **kwargs: as PartialBaseline.
    """

    HEAD = DSR2018Head

    @configurable
    def __init__(self, *, verification: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verification = verification

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Arguments of the constructor from the config."""
        return {**super().from_config(cfg), "verification": cfg.MODEL.LOSSES.VERIFICATION}

    def branches(self, outputs: dict[str, Any]) -> tuple[tuple[str, Tensor, Tensor], ...]:
        """The global branch alone."""
        return (("", outputs["cls_outputs"], outputs["features"]),)

    def more_losses(
        self, outputs: dict[str, Any], batched_inputs: dict[str, Tensor], labels: Tensor
    ) -> dict[str, Tensor]:
        """The verification loss; nothing before iteration START_ITER."""
        wanted = self.verification
        if not has_begun(wanted.START_ITER):
            return {}
        pairs, alpha = hard_pairs(outputs["features"].detach(), labels, wanted.PAIRS)
        value = verification_loss(
            outputs["probe_columns"],
            outputs["columns"],
            pairs,
            alpha,
            codes=wanted.CODES,
            beta=wanted.LASSO_BETA,
            kappa=wanted.KAPPA,
            tolerance=wanted.TOLERANCE,
        )
        return {"loss_verification": value * wanted.SCALE}
