"""What a run was computed on: processor, system, GPUs and their driver, most memory used."""

from __future__ import annotations

import platform
import sys

import torch
from torch.utils import collect_env


def machine_record(device: str) -> dict[str, object]:
    """The machine of this process, and its GPUs where `device`, the key MODEL.DEVICE, is one."""
    record: dict[str, object] = {"processor": platform.machine(), "system": platform.system()}
    if torch.device(device).type == "cuda":
        record.update(_gpus())
    return record


def _gpus() -> dict[str, object]:
    cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return {
        "gpus": [
            {"name": card.name, "memory_gb": round(card.total_memory / 1e9, 1)} for card in cards
        ],
        # None where there is no nvidia-smi to ask.
        "driver": collect_env.get_nvidia_driver_version(collect_env.run),
        "cuda": torch.version.cuda or torch.version.hip,
        "cudnn": torch.backends.cudnn.version(),
        "peak_gpu_memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2),
    }


def peak_memory_gb() -> float | None:
    """Largest resident memory of this process so far, in 10^9 bytes; None on Windows."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In bytes on macOS, in kilobytes elsewhere.
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e9, 2)
