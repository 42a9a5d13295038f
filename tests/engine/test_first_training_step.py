"""The first training step against the original's, and that steps move the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fastreid.config import get_cfg
from fastreid.modeling import build_model
from fastreid.solver import build_optimizer
from fastreid.utils.events import EventStorage

import partialreid
from partialreid.engine.trainer import PartialTrainer
from tests.paths import CONFORMANCE


def osnet_config(classes: int = 6):
    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    cfg.merge_from_file("projects/PartialReID/configs/partial_market.yml")
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.NAME = "build_osnet_backbone"
    cfg.MODEL.BACKBONE.DEPTH = "x0_25"
    cfg.MODEL.BACKBONE.FEAT_DIM = 128
    cfg.MODEL.BACKBONE.PRETRAIN = False
    cfg.MODEL.HEADS.NUM_CLASSES = classes
    cfg.SOLVER.BASE_LR = 1e-3
    return cfg


def batch(seed: int) -> dict[str, torch.Tensor]:
    images = np.random.default_rng(seed).integers(0, 256, (12, 3, 128, 128)).astype("f4")
    return {"images": torch.from_numpy(images), "targets": torch.arange(12) // 2}


@pytest.mark.parametrize("channels_last", ["off", "on"])
def test_losses_of_the_first_step(channels_last: str) -> None:
    data = np.load(CONFORMANCE / "train_steps.npz")
    cfg = osnet_config()
    cfg.MODEL.CHANNELS_LAST = channels_last
    model = build_model(cfg).train()
    state = {k[3:]: torch.from_numpy(data[k]) for k in data.files if k.startswith("sd/")}
    model.load_state_dict(state, strict=True)
    with EventStorage(0):
        losses = model(batch(int(data["rng_seed"])))
    for name, value in losses.items():
        wanted = float(data[f"loss/{name}"][0])
        assert value.item() == pytest.approx(wanted, rel=1e-4, abs=1e-4), name


def steps(contiguous: bool) -> tuple[set[str], set[str]]:
    """Which parameters two steps change, and which have a gradient in one of them."""
    torch.manual_seed(0)
    cfg = osnet_config()
    cfg.MODEL.CHANNELS_LAST = "off"  # the flat buffers refuse other memory formats outright
    model = build_model(cfg).train()
    if contiguous:
        optimizer, _ = build_optimizer(cfg, model)
    else:
        optimizer, _ = PartialTrainer.build_optimizer(cfg, model)
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    reached: set[str] = set()
    for seed in (0, 1):
        with EventStorage(0):
            loss = sum(model(batch(seed)).values())
        optimizer.zero_grad()
        loss.backward()
        reached |= {k for k, v in model.named_parameters() if v.grad is not None and v.grad.any()}
        optimizer.step()
    changed = {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    return changed, reached


def test_every_parameter_with_a_gradient_changes() -> None:
    changed, reached = steps(contiguous=False)
    assert reached <= changed
    assert len(reached) > 300


def test_stock_optimizer_changes_nothing_on_current_torch() -> None:
    """The reason for the cure: FastReID's flat buffers lose their gradients in `zero_grad`."""
    assert steps(contiguous=True)[0] == set()


def test_batch_is_not_changed_by_the_model() -> None:
    inputs = batch(0)
    images = inputs["images"].clone()
    model = build_model(osnet_config()).eval()
    with torch.no_grad():
        model(inputs)
    assert torch.equal(inputs["images"], images)


def test_channels_last_gives_the_same_outputs() -> None:
    torch.manual_seed(0)
    cfg = osnet_config()
    cfg.MODEL.CHANNELS_LAST = "off"
    plain = build_model(cfg).eval()
    cfg.MODEL.CHANNELS_LAST = "on"
    model = build_model(cfg).eval()
    model.load_state_dict(plain.state_dict())
    with torch.no_grad():
        for a, b in zip(model(batch(0)), plain(batch(0)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_flip_test_gives_an_image_and_its_mirror_the_same_features() -> None:
    torch.manual_seed(0)
    cfg = osnet_config()
    cfg.TEST.FLIP.ENABLED = True
    model = build_model(cfg).eval()
    inputs = batch(0)
    with torch.no_grad():
        features, columns, weights = model(inputs)
        mirrored, _, _ = model({"images": inputs["images"].flip(3)})
        model.flip_test = False
        single, _, _ = model(inputs)
    assert columns.shape[2] == weights.shape[1]
    torch.testing.assert_close(features, mirrored, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(features, single, rtol=1e-3, atol=1e-3)
