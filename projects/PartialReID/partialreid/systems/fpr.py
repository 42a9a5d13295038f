"""FPR (He et al., ICCV 2019): the foreground probability generator is trained with masks.

The abstract confirms a pyramid, matching by reconstruction, and a generator of foreground
probabilities that weigh it. How the generator is supervised is our reading: each column's
probability is drawn to the share of its window that shows the person, by binary cross entropy.

Shape shorthand: B batch, H x W input, h x w map, N columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from fastreid.config import configurable
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from torch import Tensor

from ..matching.pyramid import pyramid_columns
from ..partialbaseline import PartialBaseline


def mask_targets(
    masks: Tensor, map_size: tuple[int, int], kernels: Sequence[int], stride: int
) -> Tensor:
    """Share of each pyramid window that shows the person, (B, N) in 0..1.

    Args:
        masks: (B, H, W), true or one where the person is to be seen.
        map_size: h, w of the feature map.
        kernels, stride: of the pyramid.
    """
    cells = F.adaptive_avg_pool2d(masks[:, None].float(), map_size)
    return pyramid_columns(cells, kernels, stride, "avg")[0][:, 0]


def foreground_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross entropy of foreground logits (B, N) to targets (B, N), less the least possible.

    No prediction has a cross entropy below the entropy of its target, which is positive for a
    target between 0 and 1. The entropy is subtracted, so that a perfect generator has loss 0.
    """
    entropy = torch.special.entr(targets) + torch.special.entr(1 - targets)
    return F.binary_cross_entropy_with_logits(logits.float(), targets) - entropy.mean()


@META_ARCH_REGISTRY.register()
class FPRBaseline(PartialBaseline):
    """The losses of FastReID-DSR on both branches, and the foreground loss on the generator.

    Args:
        foreground_scale: weight of the foreground loss.
    """

    @configurable
    def __init__(self, *, foreground_scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.foreground_scale = foreground_scale

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Arguments of the constructor from the config."""
        return {
            **super().from_config(cfg),
            "foreground_scale": cfg.MODEL.LOSSES.FOREGROUND.SCALE,
        }

    def more_losses(
        self, outputs: dict[str, Any], batched_inputs: dict[str, Tensor], labels: Tensor
    ) -> dict[str, Tensor]:
        """The foreground loss.

        Raises:
            KeyError: the batch has no masks.
        """
        unit = self.heads.occ_unit
        masks = self.masks(batched_inputs)
        targets = mask_targets(masks, outputs["map_size"], unit.kernels, unit.stride)
        value = foreground_loss(outputs["foreground_logits"], targets)
        return {"loss_foreground": value * self.foreground_scale}

    def masks(self, batched_inputs: dict[str, Tensor]) -> Tensor:
        """The masks of a batch (B, H, W) on the model's device.

        Raises:
            KeyError: the batch has no masks.
        """
        if "masks" not in batched_inputs:
            raise KeyError(
                f"{type(self).__name__} needs masks: set INPUT.OCCLUSION.ENABLED True or "
                "DATASETS.MASKS"
            )
        return batched_inputs["masks"].to(self.device, non_blocking=True)
