"""MobileNetV2 at stride 16: FastReID's network, one stride less."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fastreid.modeling.backbones import build_backbone
from torch import nn

NAME = "build_mobilenetv2_stride_backbone"
STOCK = "build_mobilenetv2_backbone"


def backbone(make_config, name: str, last_stride: int, depth: str = "0.25x") -> nn.Module:
    torch.manual_seed(0)
    cfg = make_config("MODEL.BACKBONE.NAME", name, "MODEL.BACKBONE.DEPTH", depth)
    cfg.MODEL.BACKBONE.PRETRAIN = False
    cfg.MODEL.BACKBONE.LAST_STRIDE = last_stride
    return build_backbone(cfg).eval()


@pytest.mark.parametrize(("last_stride", "size"), [(1, (4, 2)), (2, (2, 1))])
def test_stride(make_config, last_stride: int, size: tuple[int, int]) -> None:
    with torch.no_grad():
        features = backbone(make_config, NAME, last_stride)(torch.rand(1, 3, 64, 32))
    assert features.shape == (1, 1280, *size)


@pytest.mark.parametrize("depth", ["1.0x", "0.25x"])
def test_keys_are_fastreids(make_config, depth: str) -> None:
    own = backbone(make_config, NAME, 1, depth).state_dict()
    stock = backbone(make_config, STOCK, 1, depth).state_dict()
    assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in stock.items()}


def test_stride_2_is_the_stock_network(make_config) -> None:
    images = torch.rand(1, 3, 64, 32)
    with torch.no_grad():
        own = backbone(make_config, NAME, 2)(images)
        stock = backbone(make_config, STOCK, 1)(images)
    torch.testing.assert_close(own, stock, rtol=0, atol=0)


def test_every_second_cell_of_the_strided_block_is_the_stock_one(make_config) -> None:
    """Up to `features.14` a smaller stride computes more cells and changes none."""
    images = torch.rand(1, 3, 64, 32)
    with torch.no_grad():
        fine = backbone(make_config, NAME, 1).features[:15](images)
        coarse = backbone(make_config, STOCK, 1).features[:15](images)
    assert fine.shape[2:] == (4, 2)
    torch.testing.assert_close(fine[:, :, ::2, ::2], coarse)


@pytest.mark.parametrize("last_stride", [0, 3])
def test_other_strides_are_refused(make_config, last_stride: int) -> None:
    with pytest.raises(ValueError, match=rf"MODEL\.BACKBONE\.LAST_STRIDE is {last_stride}"):
        backbone(make_config, NAME, last_stride)


@pytest.mark.parametrize("norm", ["syncBN", "FrozenBN"])
def test_every_layer_has_the_norm_of_the_config(make_config, norm: str) -> None:
    """FastReID's own leaves torch's batch norm behind the last convolution of most blocks."""
    cfg = make_config("MODEL.BACKBONE.NAME", NAME, "MODEL.BACKBONE.DEPTH", "0.25x")
    cfg.MODEL.BACKBONE.NORM = norm
    found = [type(m).__name__ for m in build_backbone(cfg).modules() if "Norm" in type(m).__name__]
    assert len(found) == 52
    assert set(found) == {"SyncBatchNorm" if norm == "syncBN" else "FrozenBatchNorm"}


def test_another_norm_keeps_pretrained_weights(make_config, tmp_path: Path) -> None:
    weights = backbone(make_config, STOCK, 1).state_dict()
    for value in weights.values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5)
    torch.save(weights, tmp_path / "weights.pth")
    cfg = make_config("MODEL.BACKBONE.NAME", NAME, "MODEL.BACKBONE.DEPTH", "0.25x")
    cfg.MODEL.BACKBONE.NORM, cfg.MODEL.BACKBONE.PRETRAIN = "syncBN", True
    cfg.MODEL.BACKBONE.PRETRAIN_PATH = str(tmp_path / "weights.pth")
    found = build_backbone(cfg).state_dict()
    assert set(found) == set(weights)
    for name, value in weights.items():
        assert torch.equal(found[name], value), name
