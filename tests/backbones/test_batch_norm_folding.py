"""Folded networks give what they gave before; float64 is what both must be near to."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fastreid.modeling.backbones import build_backbone
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from partialreid.backbones.batch_norm_folding import fold_batch_norm, shared_copy
from partialreid.backbones.strided_depthwise import StridedDepthwise
from tests.backbones.test_mobilenetv2 import NAME

# Share of the largest number of a map.
TOLERANCE = 1e-5
NORM = "MODEL.BACKBONE.NORM"
SMALL = ["MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.FEAT_DIM", 128]
MOBILE = ["MODEL.BACKBONE.NAME", NAME, "MODEL.BACKBONE.DEPTH", "0.25x"]
RESNET = ["MODEL.BACKBONE.NAME", "build_resnet_backbone", "MODEL.BACKBONE.DEPTH", "18x"]
TIMM = ["MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.BACKBONE.TIMM"]
IBN, SE = ["MODEL.BACKBONE.WITH_IBN", True], ["MODEL.BACKBONE.WITH_SE", True]
# Config, an awkward size of images, and how many norms are left.
NETWORKS: dict[str, tuple[list[Any], tuple[int, int], int]] = {
    "MobileNetV2": (MOBILE, (75, 43), 0),
    # The half of a norm that is IBN's.
    "MobileNetV2 with IBN": ([*MOBILE, *IBN], (75, 43), 8),
    "ResNet": (RESNET, (67, 33), 0),
    "ResNet with IBN and SE": ([*RESNET, *IBN, *SE], (67, 33), 6),
    "OSNet": (
        ["MODEL.BACKBONE.NAME", "build_osnet_backbone", "MODEL.BACKBONE.DEPTH", "x0_25"],
        (67, 33),
        0,
    ),
    "frozen": ([*SMALL, NORM, "FrozenBN"], (41, 29), 0),
    "ghost": ([*SMALL, NORM, "GhostBN"], (41, 29), 0),
    "of all processes": ([*SMALL, NORM, "syncBN"], (41, 29), 0),
    "by groups": ([*SMALL, NORM, "GN"], (41, 29), 0),
    # Norms that hold their activation; attention without any.
    "timm's RegNet": ([*TIMM, "test_byobnet", "MODEL.BACKBONE.FEAT_DIM", 256], (70, 41), 0),
    "timm's EfficientNet": (
        [*TIMM, "test_efficientnet", "MODEL.BACKBONE.FEAT_DIM", 256],
        (70, 41),
        0,
    ),
    "timm's transformer": ([*TIMM, "test_vit", "MODEL.BACKBONE.FEAT_DIM", 64], (70, 41), 0),
}


def norms(network: nn.Module) -> list[Any]:
    return [m for m in network.modules() if m._buffers.get("running_mean") is not None]


def trained(network: nn.Module) -> nn.Module:
    """A network in evaluation whose norms have learnt something."""
    generator = torch.Generator().manual_seed(0)
    for norm in norms(network):
        for values, low, high in (
            (norm.running_mean, -0.5, 0.5),
            (norm.running_var, 0.5, 1.5),
            (norm.weight, 0.5, 1.5),
            (norm.bias, -0.5, 0.5),
        ):
            values.data.uniform_(low, high, generator=generator)
    return network.eval()


def images(*size: int) -> Tensor:
    return torch.randn(3, 3, *size, generator=torch.Generator().manual_seed(1))


def difference(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_folded(make_config, name: str, memory_format: torch.memory_format) -> None:
    options, size, left = NETWORKS[name]
    torch.manual_seed(0)
    cfg = make_config(*options, "MODEL.BACKBONE.PRETRAIN", False)
    network: Any = trained(build_backbone(cfg)).to(memory_format=memory_format)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded = fold_batch_norm(network, (64, 32))
    assert len(norms(folded)) == left
    batch = images(*size).contiguous(memory_format=memory_format)
    with torch.inference_mode():
        plain, found = network(batch), folded(batch)
        wanted = copy.deepcopy(network).double()(batch.double())
    assert found.dtype == torch.float32
    assert found.stride() == plain.stride()
    assert difference(found, wanted) < TOLERANCE
    assert difference(found, plain) < TOLERANCE
    # The network itself is as it was, and what was not folded is not there twice.
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    kept, own = ({id(norm.running_mean) for norm in norms(net)} for net in (folded, network))
    assert kept <= own


class Branches(nn.Module):
    """Norms that can be folded, and norms that must not be."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)
        self.second, self.second_norm = nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)
        self.shared, self.shared_norm = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.twice, self.twice_norm = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.alone = nn.BatchNorm2d(8)
        self.batch = nn.BatchNorm2d(8, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first_norm(self.first(x)).relu()
        second = self.second(x)
        # The size is looked at, which is no use of the map.
        assert second.dim() == 4 and second.shape[1] == 8 and second.device.type == "cpu"
        x = self.second_norm(second)
        shared = self.shared(x)
        x = self.shared_norm(shared) + shared
        x = self.twice_norm(self.twice(self.twice_norm(self.twice(x))))
        return self.batch(self.alone(x))


def test_what_is_folded_of_many() -> None:
    network = trained(Branches())
    folded = fold_batch_norm(network, (9, 7))
    kinds = {name: type(part) for name, part in folded.named_children() if "norm" in name}
    assert kinds == {
        "first_norm": nn.Identity,
        "second_norm": nn.Identity,
        "shared_norm": nn.BatchNorm2d,
        "twice_norm": nn.BatchNorm2d,
    }
    batch = images(11, 6)
    with torch.inference_mode():
        wanted = copy.deepcopy(network).double()(batch.double())
        assert difference(folded(batch), wanted) < TOLERANCE


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias)


def test_a_weight_that_is_made_anew_stays() -> None:
    network = trained(nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4)))
    folded = fold_batch_norm(network, (8, 8))
    assert len(norms(folded)) == 1
    assert torch.equal(folded(images(9, 9)), network(images(9, 9)))


class Kept(nn.Module):
    """A network that returns what it made on the way, which no function of torch sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv(x)
        self.last(self.norm(made))
        return made


def test_a_network_that_would_change_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    network = trained(Kept())
    with caplog.at_level(logging.WARNING):
        folded = fold_batch_norm(network, (8, 8))
    assert "batch norm of Kept is not folded" in caplog.text
    assert torch.equal(folded(images(5, 4)), network(images(5, 4)))


def chain(*last: nn.Module) -> nn.Sequential:
    """A norm without an activation, whose mean is large beside what varies, and what follows."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), *last)
    trained(network)
    network[1].bias.data += 300
    if isinstance(network[-1], nn.BatchNorm2d):  # as a training would have found it
        network[-1].momentum = 1.0
        network[:-1].eval(), network[-1].train()
        network(images(40, 40))
    return network.eval()


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("normed", [True, False])
def test_a_mean_is_taken_out_before_it_is_rounded(groups: int, bias: bool, normed: bool) -> None:
    last: list[nn.Module] = [nn.Conv2d(8, 16, 1, groups=groups, bias=bias)]
    network = chain(*last, *([nn.BatchNorm2d(16)] if normed else []))
    folded = fold_batch_norm(network, (8, 8))
    batch = images(13, 9)
    with torch.inference_mode():
        wanted = copy.deepcopy(network).double()(batch.double())
        # Of numbers around 300, float32 has no more.
        assert difference(folded(batch), wanted) < 10 * TOLERANCE
        assert folded[:2](batch).mean((0, 2, 3)).abs().max() < 5
        assert network[:2](batch).mean((0, 2, 3)).abs().min() > 290
        # Plainly folded, the mean and the bias that takes it away again are rounded.
        if normed:
            plain = nn.Sequential(*(fuse_conv_bn_eval(*network[i : i + 2]) for i in (0, 2)))
            near, far = (
                difference(copy.deepcopy(net).bfloat16()(batch.bfloat16()), wanted)
                for net in (folded, plain)
            )
            assert 10 * near < far


@pytest.mark.parametrize(
    "after",
    [lambda: nn.Conv2d(8, 4, 3, padding=1), lambda: nn.Conv2d(8, 4, 1, padding=1), nn.ReLU],
)
def test_a_mean_that_ends_at_a_border_stays(after: Callable[[], nn.Module]) -> None:
    network = chain(after())
    folded = fold_batch_norm(network, (8, 8))
    batch = images(13, 9)
    with torch.inference_mode():
        assert folded[:2](batch).mean((0, 2, 3)).abs().min() > 290
        wanted = copy.deepcopy(network).double()(batch.double())
        assert difference(folded(batch), wanted) < 10 * TOLERANCE


def test_a_depthwise_convolution_stays_what_it_is(make_config) -> None:
    network = trained(build_backbone(make_config(*MOBILE, "MODEL.BACKBONE.PRETRAIN", False)))
    kinds = [
        sum(isinstance(layer, StridedDepthwise) for layer in net.modules())
        for net in (network, fold_batch_norm(network, (64, 32)))
    ]
    assert kinds[0] == kinds[1] > 0


def test_a_copy_has_structure_of_its_own_and_shares_its_tensors() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    copied = shared_copy(network)
    assert copied[0] is not network[0]
    assert copied[0].weight is network[0].weight
    copied[1] = nn.Identity()
    assert isinstance(network[1], nn.BatchNorm2d)
