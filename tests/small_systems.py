"""The systems with a small network, for training steps on any device."""

from __future__ import annotations

from typing import Any

import torch
from fastreid.utils.events import EventStorage
from torch import Tensor, nn

import partialreid
from partialreid.engine.trainer import PartialTrainer
from partialreid.runtime.device_batches import device_of, on_device

CONFIG = "projects/PartialReID/configs/demo.yml"
DSR2018 = ["MODEL.META_ARCHITECTURE", "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head"]
DSR2018 += ["MODEL.HEADS.DSR.STRIDE", 1, "MODEL.LOSSES.NAME", ("CrossEntropyLoss",)]
DSR2018 += ["MODEL.LOSSES.VERIFICATION.PAIRS", 6]
BASELINE = ["MODEL.META_ARCHITECTURE", "Baseline", "MODEL.HEADS.NAME", "EmbeddingHead"]
BASELINE += ["TEST.DSR.ENABLED", False]
# Always, to half the height: 4 x 4 cells, in which the pyramid has room.
CUT = ["INPUT.CUT.PROB", 1.0, "INPUT.CUT.SHARE", (0.5, 0.5), "INPUT.CUT.STEP", 8]
SYSTEMS: dict[str, list[Any]] = {
    "FastReID-DSR": [],
    "DSR": DSR2018,
    "SFR": [*DSR2018, "MODEL.LOSSES.VERIFICATION.CODES", "ridge"],
    "FPR": ["MODEL.META_ARCHITECTURE", "FPRBaseline"],
    "ours": ["MODEL.META_ARCHITECTURE", "ReconstructionBaseline", *CUT],
    # FastReID's own, evaluated by the global distance.
    "Baseline": BASELINE,
}
IMAGES, PEOPLE, SIZE = 8, 4, (64, 32)


def config(device: str, *options: Any) -> Any:
    """The demo's config with other keys, its device past the checks of the command line."""
    from fastreid.config import get_cfg

    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    cfg.merge_from_file(CONFIG)
    # Both devices take the same convolution, and with it the same last digits.
    small = ["MODEL.HEADS.DSR.KERNELS", (1, 2), "MODEL.CHANNELS_LAST", "off"]
    cfg.merge_from_list([*small, "MODEL.HEADS.NUM_CLASSES", PEOPLE, *options])
    cfg.MODEL.DEVICE = device
    return cfg


def of_timm(name: str, channels: int, last_stride: int = 2) -> list[Any]:
    """Keys and values of a network of timm, with random weights, as the backbone."""
    chosen = ["MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.BACKBONE.TIMM", name]
    chosen += ["MODEL.BACKBONE.FEAT_DIM", channels, "MODEL.BACKBONE.LAST_STRIDE", last_stride]
    return [*chosen, "MODEL.BACKBONE.PRETRAIN", False]


def network(cfg: Any) -> tuple[nn.Module, Any, Any]:
    """A model that is the same on every device, its optimiser and what goes with that."""
    torch.manual_seed(0)
    model = PartialTrainer.build_model(cfg).train()
    return model, *PartialTrainer.build_optimizer(cfg, model)


def batch(seed: int) -> dict[str, Tensor]:
    """A batch as the loader gives it, on the CPU, with masks of a half that is visible."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.ones(IMAGES, *SIZE, dtype=torch.bool)
    masks[::2, SIZE[0] // 2 :] = False
    return {
        "images": torch.rand(IMAGES, 3, *SIZE, generator=generator) * 255,
        "targets": torch.arange(IMAGES) // (IMAGES // PEOPLE),
        "camids": torch.zeros(IMAGES, dtype=torch.long),
        "masks": masks,
    }


def step(
    device: str, system: str, dtype: torch.dtype | None
) -> tuple[dict[str, float], dict[str, Tensor], Any]:
    """Losses of a training step, its gradients and the model after it; None is float32."""
    model, optimizer, _ = network(config(device, *SYSTEMS[system]))
    # A scale at which nothing overflows; the scaler's own first one is lowered by steps left out.
    scaler = torch.amp.GradScaler(device, init_scale=2.0**8, enabled=dtype == torch.float16)
    with EventStorage(0):
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            losses = model(on_device(batch(0), device_of(model)))
        scaler.scale(sum(losses.values())).backward()
        scaler.unscale_(optimizer)
        gradients = {k: v.grad.clone() for k, v in model.named_parameters() if v.grad is not None}
        scaler.step(optimizer)
        scaler.update()
    return {name: float(loss.detach()) for name, loss in losses.items()}, gradients, model
