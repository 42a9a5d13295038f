"""Batch norm folded into the convolution before it: in evaluation both are one linear map.

Shape shorthand: C channels, H x W image.
"""

from __future__ import annotations

import copy
import logging
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .watched_run import WatchedRun

logger = logging.getLogger(__name__)
# Largest difference of the folded network's map, as a share of the largest number in it: a hundred
# times that of rounding.
TOLERANCE = 1e-3


def shared_copy(network: nn.Module) -> Any:
    """A copy of a network whose tensors are those of the network, so that it takes no memory."""
    tensors = chain(network.parameters(), network.buffers())
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


@torch.no_grad()
def fold_batch_norm(network: nn.Module, size: tuple[int, int]) -> Any:
    """A copy of a network in evaluation, its batch norms folded where they can be.

    A norm that follows no convolution stays, as does one of half of the channels (IBN) and one
    whose convolution's output goes elsewhere, too. The network itself stays as it is; what is not
    folded shares its tensors.

    Args:
        network: from images (1, 3, H, W) to a map, on any device.
        size: H and W of an image that it takes.
    """
    plain = shared_copy(network).eval()
    first = next(plain.parameters(), torch.empty(0))
    # From -2 to 2, as images are once they are normalised.
    image = torch.linspace(-2, 2, 3 * size[0] * size[1]).view(1, 3, *size).to(first)
    with WatchedRun(plain) as seen:
        wanted = plain(image)
    if not wanted.isfinite().all():
        return plain  # the evaluation says what is wrong with the weights
    modules = dict(plain.named_modules())
    folded = shared_copy(plain)
    pairs = seen.pairs()
    convolutions = {}
    for name, norm in pairs:
        if isinstance(modules[name], nn.Conv2d) and not isinstance(modules[norm], nn.Conv2d):
            fused = fuse_conv_bn_eval(modules[name], modules[norm]).requires_grad_(False)
            _replace(folded, name, fused)
            _replace(folded, norm, _rest(folded.get_submodule(norm)))
            convolutions[norm] = fused
    for norm, name in pairs:
        if norm in convolutions and modules[norm].bias is not None:
            _centre(convolutions[norm], modules[norm].bias, folded.get_submodule(name))
    found = folded(image)
    if not torch.allclose(found, wanted, rtol=0, atol=TOLERANCE * float(wanted.abs().max())):
        logger.warning(
            f"batch norm of {type(network).__name__} is not folded: its map would change by "
            f"{float((found - wanted).abs().max()):.2g}"
        )
        return plain
    return folded


def _centre(before: Any, mean: Tensor, after: nn.Module) -> None:
    """Take the mean out of what goes from one convolution into the next, one of 1 x 1.

    A norm without an activation gives channels of any mean. In MobileNetV2's second block it is
    hundreds of times what the next convolution's output varies by, and to round the one in bfloat16
    loses the other. A larger convolution would see the mean end at the border.

    Args:
        before: the convolution with its norm folded into it.
        mean: (C,) of its output, the bias of that norm.
        after: takes the output.
    """
    if not isinstance(after, nn.Conv2d) or after.kernel_size != (1, 1) or after.padding != (0, 0):
        return
    given = F.conv2d(mean.view(1, -1, 1, 1), after.weight, groups=after.groups).flatten()
    before.bias = nn.Parameter(before.bias - mean, False)
    after.bias = nn.Parameter(given if after.bias is None else after.bias + given, False)


def _rest(norm: nn.Module) -> nn.Module:
    """What a norm does besides: those of timm hold the activation."""
    parts = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(*parts) if parts else nn.Identity()


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module.eval())
