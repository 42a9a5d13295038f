"""What the run record says of the machine."""

from __future__ import annotations

import json
import platform
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils import collect_env

from partialreid.reporting.run_record import run_record
from partialreid.runtime.machine_record import machine_record, peak_memory_gb


def test_a_run_without_gpu_names_none(make_config) -> None:
    record = run_record(make_config(), 1)["machine"]
    assert record == {"processor": platform.machine(), "system": platform.system()}


def test_gpus_are_named_with_memory_and_driver(
    make_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = [
        SimpleNamespace(name="NVIDIA H100 80GB HBM3", total_memory=85_000_000_000),
        SimpleNamespace(name="NVIDIA T4", total_memory=15_800_000_000),
    ]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 12_340_000_000)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(collect_env, "get_nvidia_driver_version", lambda _: "580.65.06")
    cfg = make_config()
    cfg.MODEL.DEVICE = "cuda"
    record = json.loads(json.dumps(run_record(cfg, 2)))["machine"]
    assert record["gpus"] == [
        {"name": "NVIDIA H100 80GB HBM3", "memory_gb": 85.0},
        {"name": "NVIDIA T4", "memory_gb": 15.8},
    ]
    assert (record["driver"], record["cuda"], record["cudnn"]) == ("580.65.06", "13.0", 91002)
    assert record["peak_gpu_memory_gb"] == 12.34


def test_a_machine_without_nvidia_smi_has_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 0)
    record = machine_record("cuda")
    assert record["gpus"] == [] and record["driver"] is None


@pytest.mark.parametrize(("system", "unit"), [("linux", 1024), ("darwin", 1)])
def test_peak_memory_in_the_units_of_the_system(
    monkeypatch: pytest.MonkeyPatch, system: str, unit: int
) -> None:
    usage = SimpleNamespace(ru_maxrss=int(2.5e9 / unit))
    resource: Any = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda _: usage)
    monkeypatch.setitem(sys.modules, "resource", resource)
    monkeypatch.setattr(sys, "platform", system)
    assert peak_memory_gb() == 2.5


def test_peak_memory_is_unknown_on_windows(monkeypatch: pytest.MonkeyPatch, make_config) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert run_record(make_config(), 1)["peak_memory_gb"] is None
