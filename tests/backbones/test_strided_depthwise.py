"""Depthwise convolutions of stride 2 in bfloat16: the outputs and gradients of nn.Conv2d."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from partialreid.backbones.strided_depthwise import StridedDepthwise, use_strided_depthwise
from tests.backbones.test_mobilenetv2 import NAME, backbone


@pytest.mark.parametrize("size", [(8, 6), (7, 5), (1, 1), (2, 9)], ids=str)
@pytest.mark.parametrize("stride", [2, 3])
def test_equals_the_convolution(size: tuple[int, int], stride: int) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(5, 5, 3, stride, 1, groups=5)
    ours = StridedDepthwise(5, 5, 3, stride, 1, groups=5)
    ours.load_state_dict(plain.state_dict())
    x = torch.randn(3, 5, *size).bfloat16().float()
    leaves = [x.clone().requires_grad_() for _ in range(2)]
    seen = []
    for layer, leaf in zip((plain, ours), leaves, strict=True):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            seen.append(layer(leaf))
        seen[-1].float().square().sum().backward()
    assert seen[1].dtype == torch.bfloat16 and seen[1].shape == seen[0].shape
    torch.testing.assert_close(seen[1], seen[0], atol=2e-2, rtol=2e-2)
    torch.testing.assert_close(leaves[1].grad, leaves[0].grad, atol=5e-2, rtol=5e-2)
    for mine, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=5e-2, rtol=5e-2)


def test_in_float32_and_in_evaluation_it_is_the_convolution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    monkeypatch.setattr(nn.Conv2d, "forward", lambda _, x: calls.append(x.dtype) or x)
    layer = StridedDepthwise(4, 4, 3, 2, 1, groups=4)
    layer(torch.rand(1, 4, 8, 8))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        layer(torch.rand(1, 4, 8, 8))
    assert len(calls) == 2


def test_the_strided_layers_of_the_network_are_such(make_config) -> None:
    found = [m for m in backbone(make_config, NAME, 1).modules() if type(m) is StridedDepthwise]
    assert [layer.stride for layer in found] == [(2, 2)] * 3
    # Dense ones, and those of stride 1, stay.
    model = nn.Sequential(nn.Conv2d(4, 4, 3, 2), nn.Conv2d(4, 4, 3, groups=4))
    use_strided_depthwise(model)
    assert all(type(layer) is nn.Conv2d for layer in model)
