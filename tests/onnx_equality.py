"""Networks for export to ONNX, and the comparison of a file with torch."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fastreid.modeling.meta_arch import build_model
from torch import Tensor, nn

from partialreid.engine.onnx_export import DEFERRED
from partialreid.engine.onnx_network import OUTPUTS

needs_exporter = pytest.mark.skipif(
    DEFERRED not in inspect.signature(torch.export.export).parameters,
    reason="this torch writes no ONNX for images of any size",
)
BATCHES = (1, 2, 7)
TOLERANCE = 1e-4


def pictures(batch: int, height: int, width: int, seed: int) -> Tensor:
    """Images (B, 3, H, W) of large patches in 0..255, so that they differ where maps are pooled."""
    patches = torch.rand(batch, 3, 8, 4, generator=torch.Generator().manual_seed(seed)) * 255
    return F.interpolate(patches, (height, width))


def random_network(cfg: Any) -> nn.Module:
    """A network with random weights, whose batch norm has the statistics of some pictures."""
    torch.manual_seed(0)
    model = build_model(cfg)
    for layer in model.modules():
        if isinstance(getattr(layer, "running_mean", None), Tensor):
            layer.momentum = 1.0
            layer.weight.data.uniform_(0.8, 1.2)
            layer.bias.data.normal_(std=0.1)
    with torch.no_grad():
        images = pictures(8, *cfg.INPUT.SIZE_TEST, seed=0)
        model.heads(model.backbone.train()(model.preprocess_image(images)))
    return model.eval()


def assert_same(
    found: nn.Module,
    wanted: nn.Module,
    sizes: Sequence[tuple[int, int]],
    raw: float = TOLERANCE,
) -> None:
    """All outputs for batches of all sizes agree, and are not the same for every image.

    Weights, and features and columns of length 1 as in a distance, agree to 0.0001, and so do the
    numbers themselves, which are some ten times as large, where `raw` does not say otherwise.
    """
    for batch, (height, width) in product(BATCHES, sizes):
        images = pictures(batch, height, width, seed=1)
        with torch.inference_mode():
            pairs = zip(found({"images": images}), wanted({"images": images}), strict=True)
            for name, (value, exact) in zip(OUTPUTS, pairs, strict=True):
                case = (name, images.shape)
                assert value.shape == exact.shape, case
                most = TOLERANCE if name == "weights" else raw
                assert (value - exact).abs().max() <= most, case
                unit = F.normalize(value, dim=1) - F.normalize(exact, dim=1)
                assert unit.abs().max() <= TOLERANCE, case
                if batch > 1 and name != "weights":
                    spread = (exact - exact.mean(0)).abs().max()
                    assert spread > 100 * most, case
