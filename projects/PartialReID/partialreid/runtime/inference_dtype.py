"""MODEL.INFERENCE_DTYPE: what "auto" stands for on a device."""

from __future__ import annotations

import re
from pathlib import Path

import torch

INFERENCE_DTYPES = ("auto", "float32", "bfloat16")
# What multiplies in bfloat16. A processor without, to which torch says that it supports bfloat16
# if it has AVX-512, computes in float32 and rounds: slower than float32.
INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}
CPUINFO = Path("/proc/cpuinfo")


def resolve_dtype(wanted: str, device: str) -> torch.dtype:
    """MODEL.INFERENCE_DTYPE as a dtype, for a device such as "cpu" or "cuda"."""
    if wanted == "auto":
        wanted = "bfloat16" if multiplies_bfloat16(device) else "float32"
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def multiplies_bfloat16(device: str) -> bool:
    """Whether a device has instructions for bfloat16, and torch uses them."""
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    there = kind == "cpu" and torch.backends.mkldnn.is_available()
    return there and not INSTRUCTIONS.isdisjoint(_instructions())


def _instructions() -> set[str]:
    """Names of what the processor can do; of other systems than Linux newer torch alone knows."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    if ask is not None:
        return {name for name, there in ask().items() if there}
    text = CPUINFO.read_text() if CPUINFO.is_file() else ""
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(flags[1].split()) if flags else set()
