"""IBN computed as one scale and one shift: FastReID's layer is what it must equal."""

from __future__ import annotations

import pytest
import torch
from fastreid.layers import IBN
from fastreid.modeling.backbones import build_backbone
from torch import Tensor, nn

from partialreid.backbones import instance_batch_norm
from partialreid.backbones.instance_batch_norm import InstanceBatchNorm
from partialreid.backbones.mobilenetv2 import IBN_BLOCKS, mix_in_instance_norm
from tests.backbones.test_mobilenetv2 import NAME
from tests.standin.gpu import StandInGpu

# By the dtype of the map; sums are in float32 at least.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 4e-2}
SHAPES = [(4, 10, 6, 5), (1, 8, 3, 1), (3, 2, 1, 9), (5, 4, 4, 4)]


def pair(channels: int) -> tuple[InstanceBatchNorm, IBN]:
    torch.manual_seed(channels)
    ours, theirs = InstanceBatchNorm(channels, "BN"), IBN(channels, "BN")
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def maps(shape: tuple[int, ...], dtype: torch.dtype, memory_format: torch.memory_format) -> Tensor:
    values = 2 + torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return values.to(dtype).contiguous(memory_format=memory_format).requires_grad_()


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format], ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_fastreids_layer(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    memory_format: torch.memory_format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two images at once, so that the last part is a shorter one.
    monkeypatch.setattr(instance_batch_norm, "CACHED", 2 * shape[1] * shape[2] * shape[3])
    ours, theirs = (layer.double() for layer in pair(shape[1]))
    if dtype != torch.float64:
        ours.float()
    x = maps(shape, dtype, memory_format)
    wide = x.detach().double().requires_grad_()
    up = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    for training in (True, False):
        ours.train(training), theirs.train(training)
        found, wanted = ours(x), theirs(wide)
        assert found.dtype == dtype
        assert found.is_contiguous(memory_format=memory_format)
        gradients = torch.autograd.grad(found, (x, *ours.parameters()), up)
        expected = torch.autograd.grad(wanted, (wide, *theirs.parameters()), up.double())
        # Instance norm of a map of few cells divides by a spread that rounding can reach.
        atol = TOLERANCE[dtype] * max(1.0, float(wanted.detach().abs().max()))
        torch.testing.assert_close(found.double(), wanted, atol=atol, rtol=0)
        for mine, other in zip(gradients, expected, strict=True):
            atol = TOLERANCE[dtype] * max(1.0, float(other.abs().max()))
            torch.testing.assert_close(mine.double(), other, atol=atol, rtol=0)
    for mine, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(mine.double(), other.double(), atol=1e-5, rtol=1e-5)


def test_a_mean_far_above_what_a_channel_varies_by() -> None:
    """As after a convolution without a bias: in float32 as exact as FastReID's layer is."""
    ours, _ = pair(6)
    x = 300 + torch.randn(4, 6, 16, 8, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    wide = x.detach().double().requires_grad_()
    up = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    found = ours(x)
    (gradient,) = torch.autograd.grad(found, x, up)
    _, exact = pair(6)
    wanted = exact.double()(wide)
    (expected,) = torch.autograd.grad(wanted, wide, up.double())
    # 300 has a rounding of 2e-5, of which a thousandth of a spread is left.
    torch.testing.assert_close(found.double(), wanted, atol=3e-4, rtol=0)
    torch.testing.assert_close(gradient.double(), expected, atol=1e-4, rtol=1e-3)


def test_a_map_in_another_order_of_memory() -> None:
    ours, theirs = pair(4)
    x = torch.randn(2, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x.mT.contiguous().mT), theirs(x), atol=1e-5, rtol=0)


def test_a_frozen_batch_norm_keeps_its_statistics() -> None:
    ours, theirs = pair(4)
    for layer in (ours, theirs):
        layer.BN.eval()
    before = ours.BN.running_mean.clone()
    x = torch.randn(2, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=0)
    assert torch.equal(ours.BN.running_mean, before)


def test_gradients_by_finite_differences() -> None:
    layer, _ = pair(5)
    layer.double()
    x = torch.randn(3, 5, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_a_device_takes_the_batch_as_one(standin: StandInGpu) -> None:
    ours, _ = pair(6)
    x = maps((4, 6, 5, 3), torch.float32, torch.channels_last)
    wanted = ours(x)
    ours, _ = pair(6)
    ours.to(standin.name)
    on_device = x.detach().to(standin.name).requires_grad_()
    with standin.count() as seen:
        found = ours(on_device)
        found.sum().backward()
    assert seen.synchronisations == 0, seen
    torch.testing.assert_close(found.detach().cpu(), wanted.detach())


@pytest.mark.parametrize("norm", ["BN", "syncBN"])
def test_weights_and_statistics_of_the_norms_go_over(make_config, norm: str) -> None:
    options = ["MODEL.BACKBONE.NAME", NAME, "MODEL.BACKBONE.DEPTH", "0.25x"]
    cfg = make_config(*options, "MODEL.BACKBONE.NORM", norm, "MODEL.BACKBONE.PRETRAIN", False)
    torch.manual_seed(0)
    network = build_backbone(cfg)
    for values in (*network.parameters(), *network.buffers()):
        if values.is_floating_point():
            nn.init.uniform_(values, 0.5, 1.5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    mix_in_instance_norm(network, norm)
    layers = [name for name, layer in network.named_modules() if isinstance(layer, IBN)]
    assert layers == [f"features.{n}.conv.1" for n in IBN_BLOCKS]
    for name in layers:
        layer = network.get_submodule(name)
        assert type(layer) is (InstanceBatchNorm if norm == "BN" else IBN)
        for part in ("weight", "bias"):
            joined = torch.cat([getattr(layer.IN, part), getattr(layer.BN, part)])
            assert torch.equal(joined, before[f"{name}.{part}"])
        for part in ("running_mean", "running_var"):
            wanted = before[f"{name}.{part}"][layer.half :]
            assert torch.equal(getattr(layer.BN, part), wanted)


def test_the_key_asks_for_it(make_config) -> None:
    options = ["MODEL.BACKBONE.NAME", NAME, "MODEL.BACKBONE.DEPTH", "0.25x"]
    options += ["MODEL.BACKBONE.PRETRAIN", False, "MODEL.BACKBONE.WITH_IBN"]
    for wanted in (False, True):
        network = build_backbone(make_config(*options, wanted))
        found = [layer for layer in network.modules() if isinstance(layer, IBN)]
        assert len(found) == (len(IBN_BLOCKS) if wanted else 0)


def test_half_of_a_map_no_longer_sees_the_brightness() -> None:
    layer = InstanceBatchNorm(8, "BN").eval()
    x = torch.randn(2, 8, 6, 4, generator=torch.Generator().manual_seed(0))
    plain, bright = layer(x), layer(3 * x + 1)
    torch.testing.assert_close(bright[:, :4], plain[:, :4], atol=1e-4, rtol=0)
    assert (bright[:, 4:] - plain[:, 4:]).abs().max() > 1
