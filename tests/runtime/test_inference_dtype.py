"""MODEL.INFERENCE_DTYPE: where "auto" stands for bfloat16."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from partialreid.runtime import inference_dtype
from partialreid.runtime.inference_dtype import resolve_dtype

HALF, FULL = torch.bfloat16, torch.float32
# What a processor says of itself, by the names that torch and Linux both use.
PROCESSORS = [
    ({"avx2", "avx512f", "avx512_bf16"}, HALF),
    ({"avx512f", "amx_bf16", "amx_tile"}, HALF),
    # torch says of it that it supports bfloat16.
    ({"avx2", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"}, FULL),
    (set(), FULL),
]


@pytest.mark.parametrize(("names", "dtype"), PROCESSORS)
@pytest.mark.parametrize("onednn", [True, False])
def test_a_processor_as_torch_knows_it(
    monkeypatch: pytest.MonkeyPatch, names: set[str], dtype: torch.dtype, onednn: bool
) -> None:
    known = {"architecture": "x86_64", "avx512_bf16": False, **dict.fromkeys(names, True)}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    assert resolve_dtype("auto", "cpu") == (dtype if onednn else FULL)
    assert resolve_dtype("bfloat16", "cpu") == HALF
    assert resolve_dtype("float32", "cpu") == FULL


@pytest.mark.parametrize(("names", "dtype"), PROCESSORS)
def test_a_processor_as_linux_knows_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: set[str], dtype: torch.dtype
) -> None:
    """Older torch has no list, nor has a system without /proc."""
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(inference_dtype, "CPUINFO", tmp_path / "cpuinfo")
    assert resolve_dtype("auto", "cpu") == FULL
    lines = ["processor\t: 0", f"flags\t\t: fpu {' '.join(sorted(names))}", "bugs\t\t: amx_bf16_x"]
    (tmp_path / "cpuinfo").write_text("\n".join(lines * 2))
    assert resolve_dtype("auto", "cpu") == dtype


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    """One that merely emulates bfloat16 does not count."""

    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert resolve_dtype("auto", "cuda") == (HALF if native else FULL)
    assert resolve_dtype("bfloat16", "cuda") == HALF


def test_a_device_that_nobody_knows() -> None:
    assert resolve_dtype("auto", "meta") == FULL
