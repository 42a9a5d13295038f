"""FastReID's transforms on current torch and torchvision, and why they are not its own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from fastreid.data import transforms as fastreid_transforms
from PIL import Image

from partialreid.data.transforms import ToTensor, build_transforms


def picture(height: int = 24, width: int = 16) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_stock_affine_fails(make_config) -> None:
    """The reason for the cure."""
    with pytest.raises(TypeError, match=r"resample|fillcolor"):
        fastreid_transforms.build_transforms(make_config("INPUT.AFFINE.ENABLED", True))


@pytest.mark.parametrize("augmix", [False, True])
def test_affine_comes_before_the_tensor(make_config, augmix: bool) -> None:
    options = ["INPUT.AFFINE.ENABLED", True, "INPUT.SIZE_TRAIN", [24, 16]]
    cfg = make_config(*options, "INPUT.FLIP.ENABLED", True, "INPUT.REA.ENABLED", True)
    cfg.INPUT.AUGMIX.ENABLED = augmix
    cfg.freeze()
    steps = build_transforms(cfg, is_train=True)
    names = [type(step).__name__ for step in steps.transforms]
    mix = ["AugMix"] if augmix else []
    flip = "RandomHorizontalFlip"
    assert names == ["Resize", flip, "RandomAffine", *mix, "ToTensor", "RandomErasing"]
    torch.manual_seed(0)
    out = steps(picture())
    assert out.shape == (3, 24, 16)
    assert not torch.equal(out, ToTensor()(picture()))
    # Evaluation has none of them.
    test = build_transforms(cfg, is_train=False)
    assert [type(step).__name__ for step in test.transforms] == ["Resize", "ToTensor"]


@pytest.mark.parametrize("key", ["CROP", "PADDING", "CJ", "AUTOAUG", "AUGMIX", "REA", "RPT"])
def test_other_augmentations_work(make_config, key: str) -> None:
    cfg = make_config(f"INPUT.{key}.ENABLED", True, "INPUT.SIZE_TRAIN", [24, 16])
    if key == "CROP":
        cfg.INPUT.CROP.SIZE = [24, 16]
    if "PROB" in cfg.INPUT[key]:
        cfg.INPUT[key].PROB = 1.0
    steps = build_transforms(cfg, is_train=True)
    for _ in range(5):
        out = steps(picture(48, 32))
        assert out.shape == (3, 24, 16)
        assert out.dtype == torch.float32
        assert out.min() >= 0
        assert out.max() <= 255


def test_tensor_is_fastreids_without_its_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warn = torch.storage._warn_typed_storage_removal
    monkeypatch.setitem(warn.__dict__, "has_warned", False)
    with pytest.warns(UserWarning, match="TypedStorage is deprecated"):
        wanted = fastreid_transforms.ToTensor()(picture())
    monkeypatch.setitem(warn.__dict__, "has_warned", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = ToTensor()(picture())
        from_array = ToTensor()(np.asarray(picture()))
    assert out.dtype == wanted.dtype
    assert out.is_contiguous()
    assert torch.equal(out, wanted)
    assert torch.equal(from_array, wanted)


@pytest.mark.parametrize("is_train", [True, False])
def test_fastreids_conversion_is_replaced(make_config, is_train: bool) -> None:
    steps = build_transforms(make_config(), is_train=is_train).transforms
    assert not [s for s in steps if isinstance(s, fastreid_transforms.ToTensor)]
    assert [s for s in steps if isinstance(s, ToTensor)]
