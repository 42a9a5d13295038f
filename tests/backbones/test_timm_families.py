"""Families of timm's networks that docs/timm.md names: their maps, and the sizes that they refuse.

The smallest network of each family, with random weights; nothing is downloaded.
"""

from __future__ import annotations

import pytest
import torch
from fastreid.modeling.backbones import build_backbone
from torch import nn

from partialreid.keys.network_check import check_network
from tests import small_systems
from tests.small_systems import of_timm

PERSON = (256, 128)
# The network, channels of its map, and its stride, which is a transformer's patch.
FAMILIES = {
    "HRNet": ("hrnet_w18_small", 2048, 32),
    "DINOv3": ("vit_tiny_patch16_dinov3_qkvb", 192, 16),
    "CLIP": ("vit_medium_patch32_clip_224", 512, 32),
    "SigLIP": ("vit_base_patch32_siglip_256", 768, 32),
    "EVA02": ("eva02_tiny_patch14_224", 192, 14),
}
# The network, channels of its map, the one size that it takes, and rows of the map.
OF_ONE_SIZE = {
    "MLP-Mixer": ("mixer_s32_224", 512, 224, 7),
    "gMLP": ("gmlp_ti16_224", 128, 224, 14),
    "BEiT": ("beit_base_patch16_224", 768, 224, 14),
    "CaiT": ("cait_xxs24_224", 192, 224, 14),
    # timm does not check the size of these: torch finds out.
    "LeViT": ("levit_128s", 384, 224, 4),
    "CoAtNet": ("test_coatnet", 128, 160, 5),
    "MViT": ("mvitv2_tiny", 768, 224, 7),
}
# The network, channels of its map, and what a side must be a multiple of.
MULTIPLES = {
    "Swin": ("swin_tiny_patch4_window7_224", 768, 4),
    "HRNet": ("hrnet_w18_small", 2048, 32),
}


def backbone(make_config, name: str, channels: int) -> nn.Module:
    torch.manual_seed(0)
    return build_backbone(make_config(*of_timm(name, channels))).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_map_of_a_person(make_config, family: str) -> None:
    """One column of channels for each stride or patch, a patch that sticks out among them."""
    name, channels, stride = FAMILIES[family]
    model = backbone(make_config, name, channels)
    images = torch.rand(1, 3, *PERSON)
    with torch.no_grad():
        found = model(images)
        features = model.network.forward_features(images)
    rows, columns = (-(-side // stride) for side in PERSON)
    assert found.shape == (1, channels, rows, columns)
    if features.ndim == 3:  # tokens, those of patches last, row by row
        patches = features[:, -rows * columns :]
        assert patches.shape[1] + model.network.num_prefix_tokens == features.shape[1]
        torch.testing.assert_close(found.flatten(2), patches.transpose(1, 2))


@pytest.mark.parametrize("family", FAMILIES)
def test_all_that_is_not_frozen_gets_a_gradient(make_config, family: str) -> None:
    name, channels, _ = FAMILIES[family]
    model = backbone(make_config, name, channels)
    model(torch.rand(1, 3, 64, 64)).square().sum().backward()
    learning = {k: p.grad for k, p in model.named_parameters() if p.requires_grad}
    assert learning and all(g is not None and g.isfinite().all() for g in learning.values())


@pytest.mark.parametrize("family", OF_ONE_SIZE)
def test_a_network_of_one_size_refuses_a_person(make_config, family: str) -> None:
    name, channels, side, rows = OF_ONE_SIZE[family]
    model = backbone(make_config, name, channels)
    with torch.no_grad():
        assert model(torch.rand(1, 3, side, side)).shape == (1, channels, rows, rows)
        with pytest.raises(ValueError) as caught:
            model(torch.rand(1, 3, *PERSON))
    said = str(caught.value)
    assert said.startswith(f"timm's {name} does not take images of 256 x 128 (")
    assert said.endswith(
        "): choose INPUT.SIZE_TRAIN, INPUT.SIZE_TEST and INPUT.KEEP_RATIO_STEP accordingly."
    )
    assert "\n" not in said and ".)" not in said


@pytest.mark.parametrize("family", ["CaiT", "LeViT"])
def test_a_command_refuses_it_before_any_work(family: str) -> None:
    name, channels, *_ = OF_ONE_SIZE[family]
    cfg = small_systems.config("cpu", *of_timm(name, channels), "INPUT.SIZE_TEST", PERSON)
    with pytest.raises(ValueError, match=rf"^INPUT\.SIZE_TEST \[256, 128\]: timm's {name} does"):
        check_network(cfg, eval_only=True)


@pytest.mark.parametrize("family", MULTIPLES)
def test_a_side_that_cannot_be_divided(make_config, family: str) -> None:
    name, channels, step = MULTIPLES[family]
    model = backbone(make_config, name, channels)
    with torch.no_grad():
        assert model(torch.rand(1, 3, 64 + step, 32)).shape[:2] == (1, channels)
        with pytest.raises(ValueError, match=r"does not take images of 66 x 32 \(.*INPUT\.SIZE_"):
            model(torch.rand(1, 3, 66, 32))


def test_other_errors_are_left_as_they_are(make_config) -> None:
    """Such as of a device that has no more memory."""
    model = backbone(make_config, "test_resnet", 96)

    def out_of_memory(images: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    model.network.forward_features = out_of_memory
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        model(torch.rand(1, 3, 64, 32))
