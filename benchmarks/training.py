"""What does a training step cost on a CPU, in bfloat16, and what the reconstruction loss?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from fastreid.config import get_cfg
from fastreid.utils.events import EventStorage

from benchmarks.bench import ROOT, report, time_in_turn
from benchmarks.gpu_training import made_up_batch
from partialreid.config import add_partialreid_config
from partialreid.engine.trainer import PartialTrainer
from partialreid.engine.training_steps import FullPrecisionSteps, MixedPrecisionSteps
from partialreid.runtime.freed_memory import keep_freed_memory
from partialreid.systems.reconstruction_loss import reconstruction_loss

CONFIG = ROOT / "projects" / "PartialReID" / "configs" / "fpr_iccv19.yml"
IMAGES, ROUNDS = 64, 5
OURS = ["MODEL.META_ARCHITECTURE", "ReconstructionBaseline"]
OURS += ["MODEL.LOSSES.NAME", ("CrossEntropyLoss",), "INPUT.CUT.PROB", 0.0]
# Name, config keys and values, whether in mixed precision. Whole images in all of them.
STEPS: tuple[tuple[str, list[Any], bool], ...] = (
    ("FPR, float32", [], False),
    ("FPR, bfloat16", [], True),
    ("ours, bfloat16", OURS, True),
    ("ours, bfloat16, IBN", [*OURS, "MODEL.BACKBONE.WITH_IBN", True], True),
)


def step(options: list[Any], mixed: bool) -> Callable[[], None]:
    """A function that trains one step of a system on a made-up batch."""
    cfg = get_cfg()
    add_partialreid_config(cfg)
    cfg.merge_from_file(str(CONFIG))
    cfg.merge_from_list(["MODEL.BACKBONE.PRETRAIN", False, "MODEL.HEADS.NUM_CLASSES", 751])
    cfg.merge_from_list(options)
    cfg.MODEL.DEVICE = "cpu"
    torch.manual_seed(0)
    model = PartialTrainer.build_model(cfg)
    optimizer, wrapper = PartialTrainer.build_optimizer(cfg, model)
    kind = MixedPrecisionSteps if mixed else FullPrecisionSteps
    batches = [made_up_batch(IMAGES, cfg.INPUT.SIZE_TRAIN)] * (ROUNDS + 1)
    trainer = kind(model, batches, optimizer, wrapper)

    def run() -> None:
        with EventStorage(0):
            trainer.run_step()

    return run


def loss_alone() -> Callable[[], None]:
    """The reconstruction loss of such a batch, forwards and backwards: 32 x 32 pairs."""
    half = IMAGES // 2
    generator = torch.Generator().manual_seed(0)
    columns = [torch.rand(half, 1280, 70, generator=generator).requires_grad_() for _ in range(2)]
    weights = F.normalize(torch.rand(half, 70, generator=generator), p=1, dim=1).requires_grad_()
    labels = torch.arange(half) // 2

    def run() -> None:
        reconstruction_loss(
            (columns[0], weights, labels),
            (columns[1], labels),
            kappa=1e-3,
            temperature=0.02,
            columns=32,
        ).backward()

    return run


def main() -> None:
    keep_freed_memory()
    work = {name: step(options, mixed) for name, options, mixed in STEPS}
    work["the reconstruction loss alone"] = loss_alone()
    seconds = time_in_turn(work, ROUNDS)
    rows = [{"step": name, **found} for name, found in seconds.items()]
    loss, whole = (
        seconds[name]["median"] for name in ("the reconstruction loss alone", "ours, bfloat16")
    )
    report(
        "training",
        f"MobileNetV2, {IMAGES} images of 256 x 128, seconds a step",
        rows,
        share_of_the_loss=loss / whole,
    )


if __name__ == "__main__":
    main()
