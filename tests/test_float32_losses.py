"""Heads and losses under autocast are those of float32."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from fastreid.modeling.losses.utils import euclidean_dist
from fastreid.utils.events import EventStorage
from torch import Tensor, nn

from partialreid import float32_losses
from partialreid.runtime.device_batches import on_device
from tests.small_systems import BASELINE, IMAGES, SYSTEMS, batch, config, network
from tests.standin.gpu import StandInGpu

BOTH = ["MODEL.LOSSES.NAME", ("CrossEntropyLoss", "TripletLoss")]
LAYERS = ("Linear", "ArcSoftmax", "CosSoftmax", "CircleSoftmax")


def model_of(system: str, *options: Any) -> nn.Module:
    return network(config("cpu", *SYSTEMS[system], *BOTH, *options))[0]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_losses_of_a_half_precision_map_are_those_of_float32(
    standin: StandInGpu, system: str, layer: str
) -> None:
    margin = [] if layer == "Linear" else ["MODEL.HEADS.SCALE", 32, "MODEL.HEADS.MARGIN", 0.25]
    model = model_of(system, "MODEL.HEADS.CLS_LAYER", layer, *margin)
    model.backbone = nn.Identity()
    generator = torch.Generator().manual_seed(2)
    # A network's map: rectified, one direction shared by all.
    shared = torch.rand(1, 128, 1, 1, generator=generator)
    half = (shared + torch.randn(IMAGES, 128, 8, 4, generator=generator)).relu().half()

    def losses(device: torch.device, amp: bool) -> dict[str, Tensor]:
        there = copy.deepcopy(model).to(device)
        there.preprocess_image = lambda _: half.to(device) if amp else half.float().to(device)
        given = on_device(batch(0), device)
        with EventStorage(0), torch.autocast(device.type, dtype=torch.float16, enabled=amp):
            return {name: value.detach().cpu() for name, value in there(given).items()}

    expected = losses(torch.device("cpu"), amp=False)
    for name, value in losses(standin.device, amp=True).items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "TripletLoss", "CircleLoss", "Cosface"])
@pytest.mark.parametrize("architecture", ["Baseline", "MoCo", "Distiller"])
def test_losses_of_fastreids_architectures_are_those_of_float32(
    standin: StandInGpu, architecture: str, name: str
) -> None:
    options = ["MODEL.META_ARCHITECTURE", architecture, "MODEL.QUEUE_SIZE", 2 * IMAGES]
    options += ["MODEL.LOSSES.NAME", (name,), "KD.EMA.ENABLED", True]
    model = network(config("cpu", *BASELINE, *options))[0]
    generator = torch.Generator().manual_seed(2)
    half = torch.rand(IMAGES, 128, 8, 4, generator=generator).half()
    targets = batch(0)["targets"]

    def losses(device: torch.device, amp: bool) -> dict[str, Tensor]:
        there = copy.deepcopy(model).to(device)
        features, labels = half.to(device), targets.to(device)
        with EventStorage(0), torch.autocast(device.type, dtype=torch.float16, enabled=amp):
            outputs = there.heads(features if amp else features.float(), labels)
            given = (outputs, [outputs]) if architecture == "Distiller" else (outputs,)
            found = there.losses(*given, labels)
        return {name: value.detach().cpu() for name, value in found.items()}

    expected = losses(torch.device("cpu"), amp=False)
    found = losses(standin.device, amp=True)
    assert set(found) == set(expected) != set()
    for key, value in found.items():
        assert value.dtype == torch.float32, key
        torch.testing.assert_close(value, expected[key], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("system", ["FastReID-DSR", "DSR"])
def test_outputs_of_evaluation_are_not_rounded(standin: StandInGpu, system: str) -> None:
    head = model_of(system).eval().heads
    half = torch.randn(3, 128, 8, 4, generator=torch.Generator().manual_seed(0)).half()
    with torch.no_grad():
        expected = head(half.float())
        with torch.autocast(standin.name, dtype=torch.float16):
            found = copy.deepcopy(head).to(standin.device)(half.to(standin.device))
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got.cpu(), wanted, atol=1e-6, rtol=1e-6)


def test_a_feature_is_no_distance_from_itself(
    standin: StandInGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastReID's triplet loss computes distances from products, which autocast would round."""
    found = []

    def watched(features: Tensor, labels: Tensor, *options: Any) -> Tensor:
        distances = euclidean_dist(features, features)
        found.append((distances.dtype, distances.diagonal().max().item()))
        return distances.mean()

    monkeypatch.setattr(float32_losses, "triplet_loss", watched)
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(8, 2048, generator=generator).half().to(standin.device)
    options = {"margin": 0.3, "norm_feat": False, "hard_mining": False, "scale": 1.0}
    with torch.autocast(standin.name, dtype=torch.float16):
        assert euclidean_dist(features, features).diagonal().max() > 0.1
        float32_losses.triplet(features, torch.arange(8) // 2, options)
    # The features are 26 long.
    ((dtype, largest),) = found
    assert dtype == torch.float32 and largest < 0.03


def test_a_batch_may_lie_on_the_device_already(standin: StandInGpu) -> None:
    model = model_of("FPR")
    there = copy.deepcopy(model).to(standin.device)
    with EventStorage(0):
        expected = model(batch(0))
        found = there({name: value.to(standin.device) for name, value in batch(0).items()})
    for name, value in expected.items():
        torch.testing.assert_close(found[name].cpu(), value, atol=1e-6, rtol=1e-6)


def test_classes_of_precise_batch_norm_do_not_matter(standin: StandInGpu) -> None:
    """Its targets of -1 are taken as class 0, without a wait for the device."""
    model = model_of("FastReID-DSR").to(standin.device)
    values = []
    for target in (-1, 0):
        given = {**batch(0), "targets": torch.full((IMAGES,), target, device=standin.device)}
        with EventStorage(0):
            values.append([value.detach().item() for value in model(given).values()])
    assert values[0] == values[1]


def test_a_batch_without_labels_is_named() -> None:
    given = batch(0)
    del given["targets"]
    with pytest.raises(KeyError, match='needs "targets"'):
        model_of("FPR")(given)


def test_cosines_of_one_have_a_gradient() -> None:
    """Rounding takes cosines beyond 1, whose arc cosine is not a number."""
    model = model_of("DSR", "MODEL.HEADS.CLS_LAYER", "ArcSoftmax", "MODEL.HEADS.SCALE", 32)
    model.backbone = nn.Identity()
    model.heads.bottleneck = nn.Identity()
    given = {**batch(0), "targets": torch.zeros(IMAGES, dtype=torch.long)}
    features = torch.rand(IMAGES, 128, 1, 1).expand(-1, -1, 8, 4).clone().requires_grad_()
    model.preprocess_image = lambda _: features
    with torch.no_grad():
        model.heads.weight[0] = features[0, :, 0, 0]
    with EventStorage(0):
        losses = model(given)
    losses["loss_cls"].backward()
    assert losses["loss_cls"].isfinite() and features.grad is not None
    assert features.grad.isfinite().all()
