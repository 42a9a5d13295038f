"""MODEL.DEVICE: which device "auto" stands for."""

from __future__ import annotations

import pytest
import torch

from partialreid.runtime.device import resolve_device


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("count", "wanted", "device"),
    [(0, "auto", "cpu"), (0, "cpu", "cpu"), (2, "auto", "cuda"), (2, "cuda", "cuda"),
     (2, "cpu", "cpu")],
)  # fmt: skip
def test_device(monkeypatch: pytest.MonkeyPatch, count: int, wanted: str, device: str) -> None:
    gpus(monkeypatch, count)
    assert resolve_device(wanted) == device


@pytest.mark.parametrize(
    ("count", "wanted", "said"),
    [(0, "cuda", "torch sees no GPU: set MODEL.DEVICE cpu"),
     (2, "cuda:1", "CUDA_VISIBLE_DEVICES selects"), (0, "gpu", "auto, cuda or cpu")],
)  # fmt: skip
def test_device_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, count: int, wanted: str, said: str
) -> None:
    gpus(monkeypatch, count)
    with pytest.raises(ValueError, match=r"MODEL\.DEVICE is") as caught:
        resolve_device(wanted)
    assert said in str(caught.value)
