"""Any network of timm that has a map: a convolutional one, or the patch tokens of a transformer.

Shapes: B batch, H x W images, C channels, H' x W' map.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import torch
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from torch import Tensor, nn

from .timm_networks import create, pretrained
from .timm_statistics import warn_of_statistics

logger = logging.getLogger(__name__)
# Side, in pixels, of an image that shows what a network gives. Few need a larger one.
PROBE = 64
# What torch says where a layer was made for an image of another size.
OF_SIZES = re.compile(r"size of tensor|Sizes of tensors|invalid for input of size|out of bounds")


class TimmMap(nn.Module):
    """A network of timm, from images to its last features before any pooling, as a map.

    Patch tokens are laid out as their patches lie in the image; class and register tokens are left
    out. Parameters that the map does not depend on (of an attention that pools, of a norm after
    pooling) are frozen: DistributedDataParallel waits for a gradient of all others.

    Args:
        network: made by timm, without classifier.
        name: of the network, for messages.

    Raises:
        ValueError: it has no map.
    """

    network: Any  # a module of timm, whose methods torch's type does not know

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name
        # Whether features are tokens, or have their channels last, and timm makes them a map.
        self.laid_out = False
        self.eval()
        with torch.enable_grad():
            probe = self._probe()
            learning = [(k, p) for k, p in network.named_parameters() if p.requires_grad]
            gradients = torch.autograd.grad(
                probe.sum(), [parameter for _, parameter in learning], allow_unused=True
            )
        unused = [pair for pair, found in zip(learning, gradients, strict=True) if found is None]
        for _, parameter in unused:
            parameter.requires_grad_(False)
        if unused:
            said = ", ".join(parameter for parameter, _ in unused)
            logger.info(f"the map of timm's {name} does not depend on {said}")
        self.channels: int = probe.shape[1]
        self.probe_rows: int = probe.shape[2]
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """From images (B, 3, H, W) to a map (B, C, H', W').

        Raises:
            ValueError: the network does not take images of this size.
        """
        try:
            if not self.laid_out:
                return self.network.forward_features(images)
            maps = self.network.forward_intermediates(
                images, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
            )
            return maps[-1]
        except (AssertionError, IndexError, RuntimeError) as error:
            said = str(error).partition("\n")[0].rstrip(".")
            # timm asserts that an image can be divided; what it does not ask, torch finds out.
            if not isinstance(error, AssertionError) and not OF_SIZES.search(said):
                raise
            raise ValueError(
                f"timm's {self.name} does not take images of {images.shape[2]} x "
                f"{images.shape[3]} ({said}): choose INPUT.SIZE_TRAIN, INPUT.SIZE_TEST and "
                "INPUT.KEEP_RATIO_STEP accordingly."
            ) from error

    def _probe(self) -> Tensor:
        """The map of a small image, or of one of the network's own size. Finds out the layout."""
        why = ""
        for size in ((PROBE, PROBE), self.network.pretrained_cfg["input_size"][1:]):
            images = torch.zeros(1, 3, *size)
            try:
                features = self.network.forward_features(images)
                if not isinstance(features, Tensor):
                    why = f" but {type(features).__name__}"
                    break
                channels_last = getattr(self.network, "output_fmt", "NCHW") != "NCHW"
                self.laid_out = features.ndim != 4 or channels_last
                features = self(images) if self.laid_out else features
                if features.ndim == 4:
                    return features
            except Exception as error:  # sizes are refused in many ways
                why = f" ({type(error).__name__}: {error})"
        raise ValueError(
            f"MODEL.BACKBONE.TIMM is {self.name}, which gives no map of rows and columns{why}: "
            "choose another network."
        )


@BACKBONE_REGISTRY.register()
def build_timm_backbone(cfg: Any) -> nn.Module:
    """The `TimmMap` of MODEL.BACKBONE.TIMM, its last stride left out by LAST_STRIDE 1.

    timm dilates the convolutions after a stride that is left out, so that their weights go on to
    see what they have learnt. Networks that have one stride, that of their patches, do not read
    LAST_STRIDE.

    Raises:
        ValueError: timm is not installed or does not know the network, which has no map, or not
            this LAST_STRIDE; FEAT_DIM is not the width of the map; PRETRAIN_PATH holds the weights
            of another network.
        FileNotFoundError: PRETRAIN_PATH is no file.
        RuntimeError: PRETRAIN asks for weights that cannot be downloaded.
    """
    settings = cfg.MODEL.BACKBONE
    name = settings.TIMM
    warn_of_statistics(cfg)
    network = create(name)
    strides = {stage["reduction"] for stage in getattr(network, "feature_info", None) or ()}
    options: dict[str, int] = {}
    if len(strides) > 1:
        if settings.LAST_STRIDE not in (1, 2):
            raise ValueError(
                f"MODEL.BACKBONE.LAST_STRIDE is {settings.LAST_STRIDE}; it can be 1 or 2."
            )
        if settings.LAST_STRIDE == 1:
            options["output_stride"] = max(strides) // 2
            network = _denser(name, network, options)
    if settings.PRETRAIN:
        network = pretrained(name, settings.PRETRAIN_PATH, **options)
    model = TimmMap(network, name)
    if model.channels != settings.FEAT_DIM:
        raise ValueError(
            f"MODEL.BACKBONE.FEAT_DIM is {settings.FEAT_DIM}, but timm's {name} has "
            f"{model.channels} channels: set it to {model.channels}."
        )
    return model


def _denser(name: str, network: nn.Module, options: dict[str, int]) -> Any:
    """The network with half its stride.

    Raises:
        ValueError: it cannot have that.
    """
    before = TimmMap(network, name).probe_rows
    why = "its map stays as it is"
    try:
        denser = create(name, **options)
        if TimmMap(denser, name).probe_rows > before:
            return denser
    except Exception as error:  # an argument that is not known, or a stride that is not allowed
        why = str(error).partition("\n")[0] or type(error).__name__
    raise ValueError(
        f"MODEL.BACKBONE.LAST_STRIDE is 1, but timm's {name} cannot leave out its last stride "
        f"({why}): set it to 2."
    )
