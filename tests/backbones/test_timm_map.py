"""Networks of timm as backbones: the map, its stride, what is said of a wrong key, all it trains.

Small networks with random weights; nothing is downloaded.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.modeling.backbones import build_backbone
from torch import nn

from partialreid.backbones.timm_map import TimmMap
from tests import small_systems, tiny
from tests.small_systems import of_timm as options
from tests.standin.gpu import StandInGpu

# Channels of the map of each, and its stride with LAST_STRIDE 2.
CONVOLUTIONAL = {
    "test_resnet": (96, 32),
    "resnet10t": (512, 32),
    "test_byobnet": (256, 32),
    "test_efficientnet": (256, 32),
    "test_convnext": (64, 32),
}


def backbone(make_config, *chosen: Any) -> nn.Module:
    torch.manual_seed(0)
    return build_backbone(make_config(*chosen)).eval()


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("size", [(256, 128), (160, 96)])
def test_the_map_of_a_convolutional_network(make_config, name: str, size: tuple[int, int]) -> None:
    """LAST_STRIDE 1 keeps every weight and doubles rows and columns."""
    channels, stride = CONVOLUTIONAL[name]
    images = torch.rand(2, 3, *size)
    maps, weights = {}, {}
    for last_stride in (1, 2):
        model = backbone(make_config, *options(name, channels, last_stride))
        weights[last_stride] = {k: v.shape for k, v in model.state_dict().items()}
        with torch.no_grad():
            maps[last_stride] = model(images)
    for last_stride, found in maps.items():
        cells = stride // 2 * last_stride
        assert found.shape == (2, channels, size[0] // cells, size[1] // cells)
    assert weights[1] == weights[2]


def test_the_map_is_what_timm_pools(make_config) -> None:
    model = backbone(make_config, *options("resnet10t", 512))
    images = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(images).mean((2, 3)), model.network(images))


@pytest.mark.parametrize(
    ("name", "channels", "prefix"),
    # A class token, registers before and after it, an attention that pools.
    [("test_vit", 64, 1), ("test_vit4", 96, 1), ("vit_tiny_patch16_224", 192, 1),
     ("deit_tiny_distilled_patch16_224", 192, 2)],
)  # fmt: skip
@pytest.mark.parametrize("size", [(256, 128), (160, 128)])
def test_patch_tokens_lie_as_their_patches(
    make_config, name: str, channels: int, prefix: int, size: tuple[int, int]
) -> None:
    model = backbone(make_config, *options(name, channels, 1))
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        found = model(images)
        tokens = model.network.forward_features(images)[:, prefix:]
    rows, columns = size[0] // 16, size[1] // 16
    assert found.shape == (2, channels, rows, columns)
    for row in range(rows):
        for column in range(columns):
            torch.testing.assert_close(found[:, :, row, column], tokens[:, row * columns + column])


def test_a_patch_moves_with_its_token(make_config) -> None:
    """Without blocks and positions a token is that of its own patch, and of no other."""
    model = backbone(make_config, *options("test_vit", 64))
    model.network.blocks = nn.Sequential(nn.Identity())
    nn.init.zeros_(model.network.pos_embed)
    images = torch.zeros(1, 3, 64, 96)
    with torch.no_grad():
        before = model(images)
        images[:, :, 16:32, 64:80] = torch.rand(3, 16, 16)
        moved = (model(images) - before).abs().amax(1)[0] > 1e-4
    expected = torch.zeros(4, 6, dtype=torch.bool)
    expected[1, 4] = True
    assert torch.equal(moved, expected)


def test_registers_and_patches_of_fourteen(make_config) -> None:
    """What does not fill a patch is filled up with zeros."""
    model = backbone(make_config, *options("vit_small_patch14_reg4_dinov2", 384))
    images = torch.rand(1, 3, 64, 30)
    filled = torch.zeros(1, 3, 70, 42)
    filled[:, :, :64, :30] = images
    with torch.no_grad():
        found = model(images)
        torch.testing.assert_close(found, model(filled))
    assert found.shape == (1, 384, 5, 3)


def test_channels_that_come_last_are_put_first(make_config) -> None:
    model = backbone(make_config, *options("test_mambaout", 64))
    images = torch.rand(2, 3, 128, 64)
    with torch.no_grad():
        found = model(images)
        torch.testing.assert_close(
            found, model.network.forward_features(images).permute(0, 3, 1, 2)
        )
    assert found.shape == (2, 64, 4, 2)


@pytest.mark.parametrize(
    ("name", "channels", "frozen"),
    [("test_resnet", 96, ""), ("test_vit", 64, ""), ("test_vit3", 96, "attn_pool."),
     ("test_convnext", 64, "head.norm."), ("mobilenetv3_small_050", 288, "conv_head.")],
)  # fmt: skip
def test_what_wants_a_gradient_gets_one(make_config, name: str, channels: int, frozen: str) -> None:
    """DistributedDataParallel would wait for the others for ever."""
    model = backbone(make_config, *options(name, channels)).train()
    model(torch.rand(2, 3, 64, 64)).square().sum().backward()
    still = [k for k, p in model.network.named_parameters() if not p.requires_grad]
    assert bool(still) == bool(frozen) and all(k.startswith(frozen) for k in still)
    for k, p in model.network.named_parameters():
        assert (p.grad is not None) == p.requires_grad, k


def test_building_disturbs_neither_statistics_nor_a_mode(make_config) -> None:
    """The first image that a network sees is none of the training."""
    torch.manual_seed(0)
    model = build_backbone(make_config(*options("test_resnet", 96)))
    assert all(module.training for module in model.modules())
    for k, value in model.network.named_buffers():
        if k.endswith("num_batches_tracked"):
            assert value == 0, k
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((), r"FEAT_DIM is 2048, but timm's test_vit has 64 channels: set it to 64\."),
        (("MODEL.BACKBONE.TIMM", ""), r"TIMM is '', which is no network .*resnet50\.a1_in1k"),
        (("MODEL.BACKBONE.TIMM", "resnet5O"), r"TIMM is 'resnet5O', which is no .*resnet50"),
        (("MODEL.BACKBONE.TIMM", "hf-hub:timm/resnet50"), "TIMM is 'hf-hub:.* is no network"),
        (
            ("MODEL.BACKBONE.TIMM", "test_vit.a1_in1k"),
            r"TIMM is .*no weights 'a1_in1k' of test_vit: .*\(test_vit\.r160_in1k\)",
        ),
        (("MODEL.BACKBONE.TIMM", "crossvit_tiny_240"), "TIMM is .* no map of rows"),
        (
            ("MODEL.BACKBONE.TIMM", "swin_tiny_patch4_window7_224"),
            r"LAST_STRIDE is 1, but timm's swin_tiny\w+ cannot leave out .*output_stride.*to 2\.",
        ),
        (
            ("MODEL.BACKBONE.TIMM", "vgg11"),
            r"LAST_STRIDE is 1, but timm's vgg11 cannot leave out .*: set it to 2\.",
        ),
        (
            ("MODEL.BACKBONE.TIMM", "hrnet_w18_small"),
            r"LAST_STRIDE is 1, but timm's hrnet\w+ cannot leave out .*: set it to 2\.",
        ),
        (
            ("MODEL.BACKBONE.TIMM", "resnet10t", "MODEL.BACKBONE.LAST_STRIDE", 4),
            r"LAST_STRIDE is 4; it can be 1 or 2\.",
        ),
    ],
)  # fmt: skip
def test_wrong_keys_are_one_sentence(make_config, changes: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValueError, match=rf"^MODEL\.BACKBONE\.{said}") as caught:
        backbone(make_config, *options("test_vit", 2048, 1), *changes)
    assert "\n" not in str(caught.value)


def test_without_timm_the_command_is_named(make_config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # importing it is an error
    with pytest.raises(ValueError, match=r"needs timm: .*`python -m pip install timm`"):
        backbone(make_config, *options("test_vit", 64))


def test_copies_are_networks_of_their_own(make_config) -> None:
    """As an average of weights makes them."""
    model = backbone(make_config, *options("test_vit", 64))
    other = copy.deepcopy(model)
    assert isinstance(other, TimmMap)
    images = torch.rand(1, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(model(images), other(images))
        other.network.norm.weight.mul_(2)
        assert not torch.allclose(model(images), other(images))


@pytest.mark.slow(minutes=0.2)
@pytest.mark.parametrize(
    ("name", "channels", "last_stride"), [("test_resnet", 96, 1), ("test_vit", 64, 1)]
)
def test_train_and_evaluate(tmp_path: Path, name: str, channels: int, last_stride: int) -> None:
    """Through the command line: images of one size in training, of several in evaluation."""
    changes = {
        "MODEL__BACKBONE__NAME": "build_timm_backbone",
        "MODEL__BACKBONE__TIMM": name,
        "MODEL__BACKBONE__FEAT_DIM": channels,
        "MODEL__BACKBONE__LAST_STRIDE": last_stride,
        "INPUT__KEEP_RATIO": "fit",
        "DATASETS__TESTS": "('SyntheticPartial','SyntheticPartialPartial')",
    }
    results = tiny.run(tmp_path / "data", tmp_path / "out", **changes)
    losses = tiny.losses(tmp_path / "out")
    assert len(losses) > 2 and all(0 < value < 100 for value in losses.values())
    weights = str(tmp_path / "out" / "model_final.pth")
    again = tiny.run(
        tmp_path / "data", tmp_path / "again", "--eval-only", MODEL__WEIGHTS=weights, **changes
    )
    for name in ("SyntheticPartial", "SyntheticPartialPartial"):
        assert again[name] == results[name]


@pytest.mark.parametrize(("name", "channels"), [("test_resnet", 96), ("test_vit", 64)])
def test_a_step_on_a_gpu_is_that_of_the_cpu(standin: StandInGpu, name: str, channels: int) -> None:
    found = {}
    for device in (standin.name, "cpu"):
        cfg = small_systems.config(device, *options(name, channels, 1))
        model, _, _ = small_systems.network(cfg)
        with small_systems.EventStorage(0):
            losses = model(small_systems.batch(0))
            sum(losses.values()).backward()
        gradients = {k: p.grad.cpu() for k, p in model.named_parameters() if p.grad is not None}
        found[device] = {k: float(v.detach()) for k, v in losses.items()}, gradients
    (losses, gradients), (expected, expected_gradients) = found.values()
    assert losses == pytest.approx(expected, rel=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    assert any("network." in k for k in gradients)
    for k, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[k], atol=1e-5, rtol=1e-4)
