"""FastReID on current Python and torch: what is put in place, and that it is taken away again."""

from __future__ import annotations

import collections
import importlib.metadata
import re
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest
import torch
from fastreid.data import transforms as fastreid_transforms
from fastreid.evaluation import ReidEvaluator, reid_evaluation
from PIL import Image

from partialreid import compat
from partialreid.dsr_evaluation import DsrEvaluator


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False
    )


def picture(height: int = 24, width: int = 16) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.slow
@pytest.mark.skipif(hasattr(collections, "Mapping"), reason="this Python still has Mapping")
def test_stock_fastreid_cannot_be_imported() -> None:
    """The reason for the cure."""
    done = python("import fastreid.data")
    assert done.returncode == 1
    assert re.search(r"ModuleNotFoundError: No module named 'torch\._six'|ImportError", done.stderr)


def test_nothing_of_the_shims_remains() -> None:
    assert "torch._six" not in sys.modules
    assert not hasattr(torch, "_six")
    assert not hasattr(collections, "Mapping")
    assert "fastreid.data.build" in sys.modules


def test_shims_are_there_inside_and_gone_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="inside"), compat.import_shims():
        assert sys.modules["torch._six"].string_classes == (str, bytes)
        assert collections.Mapping is collections.abc.Mapping
        raise RuntimeError("inside")
    test_nothing_of_the_shims_remains()


def test_shims_leave_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    own = types.ModuleType("torch._six")
    monkeypatch.setitem(sys.modules, "torch._six", own)
    monkeypatch.setattr(collections, "Mapping", dict, raising=False)
    with compat.import_shims():
        assert sys.modules["torch._six"] is own
    assert sys.modules["torch._six"] is own
    assert collections.Mapping is dict


@pytest.mark.parametrize("installed", [None, "1.3.0"])
def test_missing_or_other_fastreid(monkeypatch: pytest.MonkeyPatch, installed: str | None) -> None:
    def version(name: str) -> str:
        assert name == "fastreid"
        if installed is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(ImportError) as caught:
        compat.check_fastreid()
    message = str(caught.value)
    assert "pip install --no-deps fastreid==1.4.0" in message
    assert installed is None or installed in message
    # One sentence: a single full stop that ends it, besides those of version numbers.
    assert len(re.findall(r"\.(?!\d)", message)) == 1
    assert message.endswith(".")


def test_right_fastreid_passes() -> None:
    compat.check_fastreid()
    assert importlib.metadata.version("fastreid") == compat.FASTREID_VERSION


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
    steps = compat.build_transforms(cfg, is_train=True)
    names = [type(step).__name__ for step in steps.transforms]
    mix = ["AugMix"] if augmix else []
    flip = "RandomHorizontalFlip"
    assert names == ["Resize", flip, "RandomAffine", *mix, "ToTensor", "RandomErasing"]
    torch.manual_seed(0)
    out = steps(picture())
    assert out.shape == (3, 24, 16)
    assert not torch.equal(out, compat.ToTensor()(picture()))
    # Evaluation has none of them.
    test = compat.build_transforms(cfg, is_train=False)
    assert [type(step).__name__ for step in test.transforms] == ["Resize", "ToTensor"]


@pytest.mark.parametrize("key", ["CROP", "PADDING", "CJ", "AUTOAUG", "AUGMIX", "REA", "RPT"])
def test_other_augmentations_work(make_config, key: str) -> None:
    cfg = make_config(f"INPUT.{key}.ENABLED", True, "INPUT.SIZE_TRAIN", [24, 16])
    if key == "CROP":
        cfg.INPUT.CROP.SIZE = [24, 16]
    if "PROB" in cfg.INPUT[key]:
        cfg.INPUT[key].PROB = 1.0
    steps = compat.build_transforms(cfg, is_train=True)
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
        out = compat.ToTensor()(picture())
        from_array = compat.ToTensor()(np.asarray(picture()))
    assert out.dtype == wanted.dtype
    assert out.is_contiguous()
    assert torch.equal(out, wanted)
    assert torch.equal(from_array, wanted)


@pytest.mark.parametrize("is_train", [True, False])
def test_fastreids_conversion_is_replaced(make_config, is_train: bool) -> None:
    steps = compat.build_transforms(make_config(), is_train=is_train).transforms
    assert not [s for s in steps if isinstance(s, fastreid_transforms.ToTensor)]
    assert [s for s in steps if isinstance(s, compat.ToTensor)]


def test_evaluator_compiles_nothing(make_config, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> None:
        raise AssertionError("make would run inside site-packages")

    monkeypatch.setattr(reid_evaluation, "compile_helper", make)
    with pytest.raises(AssertionError, match="make would run"):
        ReidEvaluator(make_config(), 1)
    DsrEvaluator(make_config(), 1)
