"""A trained network as an evaluation runs it: fewer steps, and where it pays in bfloat16.

The network that it is made of stays as it is. What asks for weights, such as an export or the
digest of an index, asks that one.
"""

from __future__ import annotations

from typing import Any

import torch
from fastreid.modeling.meta_arch import Baseline
from torch import Tensor, nn

from ..backbones.batch_norm_folding import fold_batch_norm, shared_copy
from ..keys.network_check import input_sizes
from ..runtime.device_batches import device_of
from ..runtime.inference_dtype import resolve_dtype


class Bfloat16Backbone(nn.Module):
    """A backbone in bfloat16 whose map is float32, and with it all that is computed of the map.

    Under autocast, in which norms and their like stay as exact as they are. To cast the weights
    once, and not for every batch, gains too little at the size of a batch.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """From images (B, 3, H, W) to a map (B, C, H', W')."""
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            features: Tensor = self.network(images)
        return features.float()


def evaluation_network(model: nn.Module, cfg: Any) -> nn.Module:
    """A copy of a network in evaluation: batch norm folded, computed in MODEL.INFERENCE_DTYPE.

    Architectures that are not built on FastReID's Baseline come back as they are: who knows their
    inputs?

    Args:
        model: shares those of its tensors that are not folded. It must not be trained afterwards.
        cfg: its config.

    Raises:
        ValueError: INPUT gives the images of a batch different sizes.
    """
    if not isinstance(model, Baseline):
        return model
    network = shared_copy(model).eval()
    size = input_sizes(cfg, eval_only=True)["INPUT.SIZE_TEST"]
    network.backbone = fold_batch_norm(model.backbone, size)
    if resolve_dtype(cfg.MODEL.INFERENCE_DTYPE, device_of(model).type) == torch.bfloat16:
        network.backbone = Bfloat16Backbone(network.backbone)
    return network


def dtype_of(model: nn.Module) -> str:
    """What a network computes its maps in: "bfloat16" or "float32"."""
    half = any(isinstance(module, Bfloat16Backbone) for module in model.modules())
    return "bfloat16" if half else "float32"
