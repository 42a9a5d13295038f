"""Seconds of work on a GPU are those that it takes, not those of asking for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from partialreid import dsr_evaluation
from partialreid.dsr_evaluation import DsrEvaluator
from partialreid.engine.remembered_outputs import RememberedOutputs
from partialreid.runtime import device_clock
from partialreid.runtime.device_clock import seconds_on
from tests.standin.gpu import StandInGpu


class SlowGpu:
    """Time passes while the host waits for what the GPU was asked for, and at no other time."""

    def __init__(self) -> None:
        self.now, self.asked = 100.0, 0.0
        self.waits: list[torch.device] = []

    def perf_counter(self) -> float:
        return self.now

    def synchronize(self, device: Any = None) -> None:
        self.waits.append(torch.device(device))
        self.now += self.asked
        self.asked = 0.0


@pytest.fixture
def gpu(standin: StandInGpu, monkeypatch: pytest.MonkeyPatch) -> SlowGpu:
    slow = SlowGpu()
    monkeypatch.setattr(device_clock, "time", slow)
    monkeypatch.setattr(getattr(torch, standin.name), "synchronize", slow.synchronize)
    return slow


def test_the_clock_waits_for_its_device(gpu: SlowGpu, standin: StandInGpu) -> None:
    gpu.asked = 2.5
    assert seconds_on("cpu") == 100
    assert seconds_on(standin.device) == 102.5
    assert gpu.waits == [standin.device]


def test_images_per_second_are_those_of_the_network(
    gpu: SlowGpu, standin: StandInGpu, tmp_path: Path
) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, inputs: dict[str, Any]) -> tuple[torch.Tensor, ...]:
            gpu.asked += 0.5
            images = inputs["images"].to(self.weight.device)
            return images.mean((2, 3)), images.flatten(2), images.mean(1).flatten(1)

    model = RememberedOutputs(Network().to(standin.device), 1e9, tmp_path)
    gpu.asked = 40.0  # of what came before
    with torch.no_grad():
        for paths in (["a", "b"], ["c"], ["a", "b"]):
            model({"images": torch.rand(len(paths), 3, 4, 2), "img_paths": paths})
    assert (model.images, model.seconds) == (3, 1.0)


def test_seconds_of_the_matching_are_those_of_the_distances(
    gpu: SlowGpu, standin: StandInGpu, make_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: Any, **__: Any) -> None:
        gpu.asked += 7.0

    monkeypatch.setattr(dsr_evaluation, "configured_distances", slow)
    cfg = make_config("TEST.DSR.ENABLED", False)
    cfg.MODEL.DEVICE = standin.name
    evaluator = DsrEvaluator(cfg, 1)
    evaluator.reset()
    ids = {"targets": torch.tensor([0, 0]), "camids": torch.tensor([0, 1])}
    outputs = [torch.rand(2, *size, device=standin.device) for size in ((4,), (4, 3), (3,))]
    evaluator.process(ids, tuple(outputs))
    gpu.asked = 40.0  # of the network
    assert evaluator.evaluate() == {}
    assert evaluator.matching_seconds == 7.0
