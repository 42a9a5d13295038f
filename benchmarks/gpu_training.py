"""Training steps on a GPU: images per second, memory and waits, in float32 and mixed precision."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from fastreid.modeling import build_model
from fastreid.utils.events import EventStorage

from benchmarks.bench import ROOT, peak_device_gigabytes
from partialreid.config import add_partialreid_config
from partialreid.engine.trainer import PartialTrainer
from partialreid.engine.training_steps import FullPrecisionSteps, MixedPrecisionSteps
from partialreid.runtime.device_clock import seconds_on

CONFIG = ROOT / "projects" / "PartialReID" / "configs" / "Base-Partial.yml"
DSR2018 = ["MODEL.META_ARCHITECTURE", "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head"]
DSR2018 += ["MODEL.LOSSES.NAME", ("CrossEntropyLoss",)]
SYSTEMS: dict[str, list[Any]] = {
    "FastReID-DSR": [],
    "DSR (2018)": DSR2018,
    "FPR": ["MODEL.META_ARCHITECTURE", "FPRBaseline"],
    "ours": ["MODEL.META_ARCHITECTURE", "ReconstructionBaseline"],
}
# ResNet-50 with IBN at 384 x 128, as FastReID-DSR; identities of four images each.
BATCH, STEPS, WARM_UP = 64, 10, 3


def measure(device: str, options: tuple[Any, ...] = (), batch: int = BATCH) -> list[dict[str, Any]]:
    """A row for each system and precision.

    Args:
        device: "cuda"; on the CPU mixed precision is left out.
        options: config keys and values besides those of Base-Partial.yml.
        batch: images of a step.
    """
    return [
        _row(device, system, mixed, options, batch)
        for system in SYSTEMS
        for mixed in ((False,) if device == "cpu" else (False, True))
    ]


def _row(
    device: str, system: str, mixed: bool, options: tuple[Any, ...], batch: int
) -> dict[str, Any]:
    from fastreid.config import get_cfg

    cfg = get_cfg()
    add_partialreid_config(cfg)
    cfg.merge_from_file(str(CONFIG))
    cfg.merge_from_list(["MODEL.BACKBONE.PRETRAIN", False, "MODEL.HEADS.NUM_CLASSES", batch // 4])
    cfg.merge_from_list([*SYSTEMS[system], *options])
    cfg.MODEL.DEVICE = device
    torch.manual_seed(0)
    model = build_model(cfg)
    optimizer, wrapper = PartialTrainer.build_optimizer(cfg, model)
    kind = MixedPrecisionSteps if mixed else FullPrecisionSteps
    made_up = made_up_batch(batch, cfg.INPUT.SIZE_TRAIN)
    trainer = kind(model, [made_up] * (WARM_UP + STEPS + 1), optimizer, wrapper)
    with EventStorage(0) as storage:
        for _ in range(WARM_UP):
            trainer.run_step()
        start = seconds_on(device)
        for _ in range(STEPS):
            trainer.run_step()
        seconds = seconds_on(device) - start
        waits = _waits(trainer, device)
        loss = storage.latest()["total_loss"][0]
    return {
        "system": system,
        "precision": "mixed" if mixed else "float32",
        "images per second": batch * STEPS / seconds,
        "peak GB on the device": peak_device_gigabytes(device),
        "waits of a step": waits,
        "total loss": float(loss),
    }


def made_up_batch(images: int, size: Any) -> dict[str, torch.Tensor]:
    """A batch as the loader gives it, of random numbers."""
    generator = torch.Generator().manual_seed(0)
    made_up = {
        "images": torch.rand(images, 3, *size, generator=generator) * 255,
        "targets": torch.arange(images) // 4,
        "camids": torch.zeros(images, dtype=torch.long),
        "masks": torch.rand(images, *size, generator=generator) < 0.7,
    }
    # As the loader does for a GPU.
    pinned = torch.cuda.is_available()
    return {name: part.pin_memory() if pinned else part for name, part in made_up.items()}


def _waits(trainer: Any, device: str) -> int | None:
    """How often the host waits for the GPU in one step, as CUDA reports it; None elsewhere."""
    if torch.device(device).type != "cuda":
        return None
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            trainer.run_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.set_warn_always(before)
    return sum("synchronizing CUDA operation" in str(warning.message) for warning in said)
