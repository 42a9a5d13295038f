"""DSRHead and PartialBaseline against the inputs and outputs of the original."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fastreid.config import get_cfg
from fastreid.modeling import build_model
from fastreid.modeling.heads import build_heads
from fastreid.utils.events import EventStorage

import partialreid
from partialreid.partialbaseline import PartialBaseline
from tests.paths import CONFORMANCE

CASES = [
    (size, layer)
    for size in ("24x8", "16x8")
    for layer in ("Linear", "ArcSoftmax", "CircleSoftmax")
]
LOSS_KWARGS = {
    "loss_names": ("CrossEntropyLoss", "TripletLoss"),
    "ce": {"eps": 0.12, "alpha": 0.2, "scale": 1.0},
    "tri": {"margin": 0.3, "norm_feat": False, "hard_mining": False, "scale": 1.0},
}


def small_config(layer: str = "Linear"):
    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.FEAT_DIM = 16
    cfg.MODEL.HEADS.NAME = "DSRHead"
    cfg.MODEL.HEADS.NUM_CLASSES = 5
    cfg.MODEL.HEADS.WITH_BNNECK = True
    cfg.MODEL.HEADS.POOL_LAYER = "FastGlobalAvgPool"
    cfg.MODEL.HEADS.CLS_LAYER = layer
    if layer != "Linear":
        cfg.MODEL.HEADS.SCALE, cfg.MODEL.HEADS.MARGIN = 32, 0.25
    return cfg


def load_head(path: Path, layer: str):
    data = np.load(path)
    head = build_heads(small_config(layer))
    state = {k[3:]: torch.from_numpy(data[k]) for k in data.files if k.startswith("sd/")}
    head.load_state_dict(state, strict=True)
    return data, head


@pytest.mark.parametrize(("size", "layer"), CASES)
def test_evaluation_outputs(size: str, layer: str) -> None:
    data, head = load_head(CONFORMANCE / f"head_{size}_{layer}.npz", layer)
    with torch.no_grad():
        outputs = head.eval()(torch.from_numpy(data["features"]))
    for got, name in zip(outputs, ("eval_global", "eval_spatial", "eval_scores"), strict=True):
        torch.testing.assert_close(got, torch.from_numpy(data[name]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "layer"), CASES)
def test_training_outputs_losses_and_gradients(size: str, layer: str) -> None:
    data, head = load_head(CONFORMANCE / f"head_{size}_{layer}.npz", layer)
    targets = torch.from_numpy(data["targets"])
    outputs = head.train()(torch.from_numpy(data["features"]), targets)
    for name, got in outputs.items():
        if name == "pred_class_logits" and layer != "Linear":
            continue  # the original's margin layers overwrite what is only logged
        if name in ("foreground_logits", "map_size", "columns", "weights"):
            continue  # for FPR and ours
        torch.testing.assert_close(
            got.detach(), torch.from_numpy(data[f"train/{name}"]), rtol=1e-4, atol=1e-5
        )

    meta = PartialBaseline.__new__(PartialBaseline)
    torch.nn.Module.__init__(meta)
    meta.loss_kwargs = LOSS_KWARGS
    with EventStorage(0):
        losses = meta.losses(outputs, targets)
    assert {f"loss/{k}" for k in losses} == {k for k in data.files if k.startswith("loss/")}
    for name, got in losses.items():
        # FastReID's triplet loss takes the root of each image's distance to itself, which is pure
        # rounding (1e-4 to 1e-3, another on each processor) and enters the mining weights.
        noise = 2e-4 if "triplet" in name else 0.0
        assert got.item() == pytest.approx(float(data[f"loss/{name}"]), rel=1e-4, abs=noise)

    sum(losses.values()).backward()
    gradients = {k: v.grad for k, v in head.named_parameters() if v.grad is not None}
    wanted = {k[5:]: torch.from_numpy(data[k]) for k in data.files if k.startswith("grad/")}
    assert set(wanted) == set(gradients)
    for name, value in wanted.items():
        torch.testing.assert_close(gradients[name], value, rtol=1e-4, atol=5e-5)


def test_state_dict_keys_of_the_original_model() -> None:
    wanted = json.loads((CONFORMANCE / "state_dict_keys.json").read_text())
    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    cfg.merge_from_file("projects/PartialReID/configs/partial_market.yml")
    cfg.MODEL.DEVICE, cfg.MODEL.BACKBONE.PRETRAIN = "cpu", False
    cfg.MODEL.HEADS.NUM_CLASSES = 751
    model = build_model(cfg)
    assert {k: list(v.shape) for k, v in model.state_dict().items()} == wanted


def test_weights_are_positive_and_sum_to_one() -> None:
    head = build_heads(small_config()).eval()
    features = torch.randn(3, 16, 13, 9)
    with torch.no_grad():
        _, columns, weights = head(features)
    assert columns.shape[2] == weights.shape[1]
    assert (weights > 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(3))


def test_kernels_and_stride_are_config() -> None:
    cfg = small_config()
    cfg.MODEL.HEADS.DSR.KERNELS, cfg.MODEL.HEADS.DSR.STRIDE = (1, 3), 1
    head = build_heads(cfg).eval()
    with torch.no_grad():
        assert head(torch.randn(1, 16, 4, 3))[1].shape[2] == 12 + 2
        with pytest.raises(ValueError, match=r"2x2.*KERNELS"):
            head(torch.randn(1, 16, 2, 2))


def test_embedding_dim_is_refused() -> None:
    cfg = small_config()
    cfg.MODEL.HEADS.EMBEDDING_DIM = 8
    with pytest.raises(ValueError, match=r"MODEL\.HEADS\.EMBEDDING_DIM"):
        build_heads(cfg)


def test_a_map_in_channels_last_gets_its_gradient_so() -> None:
    """The mean of a map, for one, gives its gradient in the plain format."""
    leaf = torch.rand(4, 16, 24, 8, requires_grad=True)
    features = (leaf * 2).contiguous(memory_format=torch.channels_last)
    outputs = build_heads(small_config()).train()(features, torch.zeros(4, dtype=torch.long))
    strides = []
    features.register_hook(lambda gradient: strides.append(gradient.stride()))
    for name in ("features", "foreground_features", "columns"):
        outputs[name].square().sum().backward(retain_graph=True)
    assert strides == [features.stride()] * 3
