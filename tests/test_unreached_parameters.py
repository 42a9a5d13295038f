"""Every parameter that wants a gradient gets one, whatever MODEL.LOSSES.NAME says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY, Baseline
from fastreid.utils.events import EventStorage
from torch import Tensor

from tests.small_systems import BASELINE, IMAGES, batch, config, network

OTHERS = [("TripletLoss",), ("CircleLoss", "Cosface")]


class OwnLosses(Baseline):
    """A user's architecture, with a loss of the logits that no key names."""

    def losses(self, outputs: dict[str, Any], gt_labels: Tensor) -> dict[str, Tensor]:
        return {**super().losses(outputs, gt_labels), "own": outputs["cls_outputs"].square().mean()}


@pytest.fixture(autouse=True)
def own_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(META_ARCH_REGISTRY._obj_map, "OwnLosses", OwnLosses)


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("names", [("CrossEntropyLoss",), *OTHERS], ids=str)
@pytest.mark.parametrize("architecture", ["Baseline", "MoCo", "Distiller", "OwnLosses"])
def test_no_gradient_is_missing(architecture: str, names: tuple[str, ...], place: str) -> None:
    options = ["MODEL.META_ARCHITECTURE", architecture, "MODEL.QUEUE_SIZE", 2 * IMAGES]
    options += ["MODEL.LOSSES.NAME", names, "MODEL.HEADS.NECK_FEAT", place, "KD.EMA.ENABLED", True]
    model = network(config("cpu", *BASELINE, *options))[0]
    with EventStorage(0):
        losses = model(batch(0))
    sum(losses.values()).backward()
    named = dict(model.named_parameters())
    wanting = {name for name, parameter in named.items() if parameter.requires_grad}
    assert {name for name in wanting if named[name].grad is None} == set()
    # The classifier stays as it is where no loss looks at the logits.
    of_logits = "CrossEntropyLoss" in names or architecture in ("Distiller", "OwnLosses")
    assert ("heads.weight" in wanting) == of_logits
    assert ("heads.bottleneck.0.weight" in wanting) == (of_logits or place == "after")
    assert all(torch.isfinite(loss) for loss in losses.values())
