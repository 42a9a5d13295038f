"""The small residual network: size of its map, its errors, and that all of it learns."""

from __future__ import annotations

import pytest
import torch
from fastreid.modeling.backbones import build_backbone
from torch import nn


def backbone(make_config, *options) -> nn.Module:
    torch.manual_seed(0)
    cfg = make_config(
        *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone"),
        *("MODEL.BACKBONE.PRETRAIN", False),
        *("MODEL.BACKBONE.FEAT_DIM", 128),
        *options,
    )
    return build_backbone(cfg)


@pytest.mark.parametrize(
    ("last_stride", "size", "expected"),
    [(1, (128, 64), (16, 8)), (2, (128, 64), (8, 4)), (1, (50, 25), (7, 4))],
)
def test_map(make_config, last_stride: int, size: tuple, expected: tuple) -> None:
    model = backbone(make_config, "MODEL.BACKBONE.LAST_STRIDE", last_stride).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 3, *size)).shape == (2, 128, *expected)


def test_a_cell_moves_with_the_image(make_config) -> None:
    """Eight pixels of the image are one cell of the map."""
    model = backbone(make_config).eval()
    image = torch.zeros(1, 3, 128, 128)
    image[:, :, 40:56, 40:56] = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        features, moved = model(image), model(image.roll(8, 3))
    assert not torch.allclose(features, moved)
    # The border sees padding, which does not move: it is left out.
    torch.testing.assert_close(features[..., 4:11], moved[..., 5:12])


def test_gradient_reaches_every_parameter(make_config) -> None:
    model = backbone(make_config).train()
    model(torch.rand(4, 3, 64, 32)).square().mean().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_another_width_is_refused(make_config) -> None:
    """A wrong FEAT_DIM is found before the head is built with it."""
    with pytest.raises(ValueError, match=r"FEAT_DIM is 2048.*set it to 128"):
        backbone(make_config, "MODEL.BACKBONE.FEAT_DIM", 2048)


@pytest.mark.parametrize("last_stride", [0, 4])
def test_other_strides_are_refused(make_config, last_stride: int) -> None:
    with pytest.raises(ValueError, match=rf"MODEL\.BACKBONE\.LAST_STRIDE is {last_stride}"):
        backbone(make_config, "MODEL.BACKBONE.LAST_STRIDE", last_stride)


def test_there_is_nothing_pretrained(make_config) -> None:
    with pytest.raises(ValueError, match=r"PRETRAIN is True.*set it to False"):
        backbone(make_config, "MODEL.BACKBONE.PRETRAIN", True)
