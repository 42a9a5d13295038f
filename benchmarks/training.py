"""What does a training step cost on a CPU, in bfloat16, and what the reconstruction loss?

Ours also as it was before maps, columns and their gradients lay in memory as the layers before them
want them: the ratio of the two is what that gains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from fastreid.config import get_cfg
from fastreid.utils.events import EventStorage
from torch import Tensor

from benchmarks.bench import ROOT, no_options, report, time_in_turn
from benchmarks.gpu_training import made_up_batch
from partialreid import dsr_head, pyramid_head
from partialreid.config import add_partialreid_config
from partialreid.engine.trainer import PartialTrainer
from partialreid.engine.training_steps import FullPrecisionSteps, MixedPrecisionSteps
from partialreid.matching.precision import full_precision
from partialreid.runtime.freed_memory import keep_freed_memory
from partialreid.systems.reconstruction_loss import reconstruction_loss

CONFIG = ROOT / "projects" / "PartialReID" / "configs" / "fpr_iccv19.yml"
IMAGES, ROUNDS = 64, 3
OURS = ["MODEL.META_ARCHITECTURE", "ReconstructionBaseline"]
OURS += ["MODEL.LOSSES.NAME", ("CrossEntropyLoss",), "INPUT.CUT.PROB", 0.0]
# Name, config keys and values, whether in mixed precision. Whole images in all of them.
STEPS: tuple[tuple[str, list[Any], bool], ...] = (
    ("FPR, float32", [], False),
    ("FPR, bfloat16", [], True),
    ("ours, float32", OURS, False),
    ("ours, bfloat16", OURS, True),
    ("ours, bfloat16, IBN", [*OURS, "MODEL.BACKBONE.WITH_IBN", True], True),
)
NOW, BEFORE, LOSS = "ours, bfloat16", "ours, bfloat16, before", "the reconstruction loss alone"
PRODUCTS = "its three products of all columns alone"
FEWER = "the reconstruction loss of 24 columns in place of 32"


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


def plain_columns(
    features: Tensor, kernels: Sequence[int], stride: int, pool: str
) -> tuple[Tensor, int]:
    """The columns of a map as they were before: each level from the map, in the plain format."""
    levels = [F.max_pool2d(features, kernel, stride).flatten(2) for kernel in kernels]
    return torch.cat(levels, dim=2), levels[0].shape[2]


def before(run: Callable[[], None]) -> Callable[[], None]:
    """A step with maps, columns and gradients as torch lays them out by itself."""

    def plain() -> None:
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(dsr_head, "pyramid_columns", plain_columns))
            stack.enter_context(mock.patch.object(pyramid_head, "keep_gradient_layout"))
            run()

    return plain


def loss_alone(count: int = 32) -> Callable[[], None]:
    """The reconstruction loss of such a batch, forwards and backwards: 32 x 32 pairs.

    Args:
        count: how many columns of a query are used.
    """
    half = IMAGES // 2
    generator = torch.Generator().manual_seed(0)
    # As a head gives them: the channels of a column lie side by side.
    columns = [torch.rand(half, 70, 1280, generator=generator) for _ in range(2)]
    columns = [some.mT.requires_grad_() for some in columns]
    weights = F.normalize(torch.rand(half, 70, generator=generator), p=1, dim=1).requires_grad_()
    labels = torch.arange(half) // 2

    def run() -> None:
        reconstruction_loss(
            (columns[0], weights, labels),
            (columns[1], labels),
            kappa=1e-3,
            temperature=0.02,
            columns=count,
        ).backward()

    return run


def products_alone() -> Callable[[], None]:
    """What of that loss nothing can save: the product of all columns, forwards and twice backwards.

    No solve, no normalisation, no gradient of anything else.
    """
    half, channels = IMAGES // 2, 1280
    spans = torch.rand(half * 70, channels)
    query = torch.rand(channels, half * 32)

    def run() -> None:
        with full_precision("cpu"):
            product = spans @ query
            _ = product @ query.T
            _ = spans.T @ product

    return run


def main() -> None:
    keep_freed_memory()
    work = {name: step(options, mixed) for name, options, mixed in STEPS}
    work[BEFORE] = before(step(OURS, True))
    work[LOSS] = loss_alone()
    work[PRODUCTS] = products_alone()
    work[FEWER] = loss_alone(24)
    seconds = time_in_turn(work, ROUNDS)
    rows = [
        {"step": name, "images a second": IMAGES / found["median"], **found}
        for name, found in seconds.items()
    ]
    medians = {name: found["median"] for name, found in seconds.items()}
    report(
        "training",
        f"MobileNetV2, {IMAGES} images of 256 x 128, seconds a step",
        rows,
        share_of_the_loss=medians[LOSS] / medians[NOW],
        share_of_its_products=medians[PRODUCTS] / medians[NOW],
        share_of_24_columns=medians[FEWER] / medians[NOW],
        times_as_fast_as_before=medians[BEFORE] / medians[NOW],
        times_as_fast_as_in_float32=medians["ours, float32"] / medians[NOW],
    )


if __name__ == "__main__":
    no_options(__doc__)
    main()
