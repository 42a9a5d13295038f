"""Keys of heads and losses: each does what it says under every head, or is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fastreid.modeling import build_model
from fastreid.modeling.losses import triplet_loss
from fastreid.utils.events import EventStorage
from torch import nn

from partialreid.matching.pyramid import pyramid_columns
from tests.small_systems import DSR2018, batch, config

TRIPLET = ["MODEL.LOSSES.NAME", ("TripletLoss",)]
HEADS = {"DSRHead": [], "DSR2018Head": DSR2018}


def model_of(*options: Any) -> nn.Module:
    torch.manual_seed(0)
    return build_model(config("cpu", *options)).train()


@pytest.mark.parametrize("head", HEADS)
def test_neck_feat_chooses_the_features_of_the_triplet_loss(head: str) -> None:
    features = torch.randn(8, 128, 8, 4)
    targets = batch(0)["targets"]
    before, after = (
        model_of(*HEADS[head], "MODEL.HEADS.NECK_FEAT", place).heads(features, targets)
        for place in ("before", "after")
    )
    torch.testing.assert_close(before["features"], features.mean((2, 3)))
    # Batch norm of the neck: mean 0 and variance 1 over the batch, its weight 1 and bias 0.
    for name in ("features", "foreground_features"):
        if name in before:
            x = before[name]
            wanted = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()
            torch.testing.assert_close(after[name], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_pool_of_the_windows(head: str) -> None:
    features = torch.randn(2, 128, 8, 4)
    for pool in ("max", "avg"):
        model = model_of(*HEADS[head], "MODEL.HEADS.DSR.POOL", pool).eval()
        dsr = config("cpu", *HEADS[head]).MODEL.HEADS.DSR
        wanted, _ = pyramid_columns(features, dsr.KERNELS, dsr.STRIDE, pool)
        with torch.no_grad():
            assert torch.equal(model.heads(features)[1], wanted)


def test_losses_of_dsr2018_are_those_of_the_key() -> None:
    model = model_of(*DSR2018, "MODEL.LOSSES.NAME", ("CrossEntropyLoss", "TripletLoss"))
    with EventStorage(0):
        losses = model(batch(0))
    assert set(losses) == {"loss_cls", "loss_triplet", "loss_verification"}
    model = model_of(*DSR2018, *TRIPLET, "MODEL.LOSSES.TRI.SCALE", 3.0)
    outputs = model.heads(model.backbone(model.preprocess_image(batch(0))), batch(0)["targets"])
    with EventStorage(0):
        found = model.losses(outputs, batch(0)["targets"])
    tri = config("cpu").MODEL.LOSSES.TRI
    wanted = triplet_loss(
        outputs["features"], batch(0)["targets"], tri.MARGIN, tri.NORM_FEAT, tri.HARD_MINING
    )
    assert set(found) == {"loss_triplet"}
    torch.testing.assert_close(found["loss_triplet"], 3 * wanted)


@pytest.mark.parametrize("head", HEADS)
def test_the_triplet_loss_begins_at_its_iteration(head: str) -> None:
    both = ("MODEL.LOSSES.NAME", ("CrossEntropyLoss", "TripletLoss"))
    late = ("MODEL.LOSSES.TRI.START_ITER", 3)
    at_once, model = (model_of(*HEADS[head], *both, *keys) for keys in ((), late))
    for iteration in range(5):
        with EventStorage(iteration):
            wanted, found = ({*each(batch(0))} for each in (at_once, model))
        triplet = {name for name in wanted if name.endswith("triplet")}
        assert triplet
        assert found == (wanted - triplet if iteration < 3 else wanted)


REFUSED = {
    "NECK_FEAT": (["MODEL.HEADS.NECK_FEAT", "middle"], "NECK_FEAT is 'middle'; .*before, after"),
    "POOL_LAYER": (["MODEL.HEADS.POOL_LAYER", "AvgPool"], "POOL_LAYER is 'AvgPool'; .*FastGlobal"),
    # It leaves the map, of which one cell would be read as the whole.
    "Identity": (["MODEL.HEADS.POOL_LAYER", "Identity"], "POOL_LAYER is 'Identity'"),
    "CLS_LAYER": (["MODEL.HEADS.CLS_LAYER", "nn"], "CLS_LAYER is 'nn'; .*ArcSoftmax"),
    "NORM": (["MODEL.HEADS.NORM", "FrozenBN"], r"HEADS\.NORM is 'FrozenBN'; .*syncBN"),
    "DSR.POOL": (["MODEL.HEADS.DSR.POOL", "min"], r"DSR\.POOL is 'min'; .*max, avg"),
    "MARGIN": (["MODEL.HEADS.MARGIN", 0.3], "MARGIN is 0.3, but .* Linear has no margin"),
    "no loss": (["MODEL.LOSSES.NAME", ()], "NAME is empty"),
    "loss": (["MODEL.LOSSES.NAME", ("CircleLoss",)], "NAME holds CircleLoss; .*TripletLoss"),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("key", REFUSED)
def test_what_nothing_would_use_is_refused(head: str, key: str) -> None:
    options, message = REFUSED[key]
    with pytest.raises(ValueError, match=message):
        model_of(*HEADS[head], *options)


@pytest.mark.parametrize(
    ("architecture", "head", "wanted"),
    [
        ("PartialBaseline", "DSR2018Head", "DSRHead"),
        ("PartialBaseline", "EmbeddingHead", "DSRHead"),
        ("FPRBaseline", "EmbeddingHead", "DSRHead"),
        ("DSR2018", "DSRHead", "DSR2018Head"),
    ],
)
def test_a_head_of_another_system_is_refused(architecture: str, head: str, wanted: str) -> None:
    options = ["MODEL.META_ARCHITECTURE", architecture, "MODEL.HEADS.NAME", head]
    with pytest.raises(ValueError, match=f"{head}, but .*{architecture} needs .* of {wanted}:"):
        model_of(*options)


def test_another_width_of_the_backbone_is_named() -> None:
    model = model_of()
    with pytest.raises(ValueError, match="FEAT_DIM is 128, but the backbone gives 64 channels"):
        model.heads(torch.rand(2, 64, 8, 4))


def test_embedding_of_the_global_feature() -> None:
    model = model_of(*DSR2018, "MODEL.HEADS.EMBEDDING_DIM", 16, "MODEL.HEADS.NECK_FEAT", "after")
    features = torch.rand(8, 128, 8, 4)
    assert model.heads(features, batch(0)["targets"])["features"].shape == (8, 16)
    found, columns, _ = model.eval().heads(features)
    assert found.shape == (8, 16) and columns.shape[1] == 128


@pytest.mark.parametrize("head", HEADS)
def test_without_a_bnneck_features_stay_as_they_are(head: str) -> None:
    model = model_of(*HEADS[head], "MODEL.HEADS.WITH_BNNECK", False)
    features = torch.rand(8, 128, 8, 4)
    pooled = model.heads(features, batch(0)["targets"])
    wanted = pooled["foreground_features" if head == "DSRHead" else "features"]
    with torch.no_grad():
        torch.testing.assert_close(model.eval().heads(features)[0], wanted.detach())
