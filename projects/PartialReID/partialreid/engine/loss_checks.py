"""Which losses an architecture can be trained with, and when they begin: checked before a training.

FastReID passes over the names that it does not know. Where none is left there is nothing to train
with, and its loop ends in a trace. The architectures of this package check their names themselves.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from fastreid.modeling.meta_arch import META_ARCH_REGISTRY, Baseline
from fastreid.modeling.meta_arch.distiller import Distiller
from fastreid.modeling.meta_arch.moco import MoCo

from ..keys.reading_rules import WITH_MASKS, built_on

logger = logging.getLogger(__name__)

LOSSES = ("CrossEntropyLoss", "TripletLoss", "CircleLoss", "Cosface")
TRIPLET = "MODEL.LOSSES.TRI.START_ITER"
VERIFICATION = "MODEL.LOSSES.VERIFICATION.START_ITER"
# Architectures that have losses besides those of MODEL.LOSSES.NAME.
WITH_MORE_LOSSES = (*WITH_MASKS, "DSR2018")


def check_loss_names(cfg: Any) -> None:
    """Check MODEL.LOSSES.NAME, and the teachers of a distillation.

    An architecture with losses of its own may give the names a meaning of their own.

    Raises:
        ValueError: a loss is unknown, there is none, a teacher is missing, or MoCo's queue does
            not fit the batch.
        FileNotFoundError: a file of a teacher is not there.
    """
    name = cfg.MODEL.META_ARCHITECTURE
    losses = getattr(META_ARCH_REGISTRY._obj_map.get(name), "losses", None)
    if losses in (Baseline.losses, MoCo.losses, Distiller.losses):
        known = ", ".join(LOSSES)
        unknown = [loss for loss in cfg.MODEL.LOSSES.NAME if loss not in LOSSES]
        if unknown:
            raise ValueError(f"MODEL.LOSSES.NAME holds {', '.join(unknown)}; {name} knows {known}.")
        if not cfg.MODEL.LOSSES.NAME and losses is Baseline.losses:
            raise ValueError(f"MODEL.LOSSES.NAME is empty; {name} knows {known}.")
    if losses is MoCo.losses and cfg.MODEL.QUEUE_SIZE % cfg.SOLVER.IMS_PER_BATCH:
        raise ValueError(
            f"MODEL.QUEUE_SIZE is {cfg.MODEL.QUEUE_SIZE}, which batches of SOLVER.IMS_PER_BATCH "
            f"{cfg.SOLVER.IMS_PER_BATCH} do not fill evenly: make it a multiple."
        )
    if losses is Distiller.losses:
        _check_teachers(cfg)


def check_loss_starts(cfg: Any) -> None:
    """Check that a loss of MODEL.LOSSES.NAME begins at once where the architecture adds none.

    Raises:
        ValueError: the triplet loss is the only one, and begins later.
    """
    alone = {*cfg.MODEL.LOSSES.NAME} == {"TripletLoss"}
    if alone and _starts(cfg).get(TRIPLET, 0) > 0 and not built_on(cfg, WITH_MORE_LOSSES):
        raise ValueError(
            f"{TRIPLET} is {cfg.MODEL.LOSSES.TRI.START_ITER}, and MODEL.LOSSES.NAME has no other "
            "loss to train with before: add CrossEntropyLoss to it, or set the first to 0."
        )


def warn_of_late_losses(cfg: Any, iterations: int) -> None:
    """Say of each loss of a training that would begin when it has ended.

    Args:
        cfg: of the training.
        iterations: how many it has.
    """
    for key, start in _starts(cfg).items():
        if start >= iterations:
            logger.warning(
                f"{key} is {start}, but this training has {iterations} iterations: the loss never "
                "begins"
            )


def _starts(cfg: Any) -> dict[str, int]:
    """The iterations at which losses of a training begin, by their keys; those that it reads."""
    found = {}
    if "TripletLoss" in cfg.MODEL.LOSSES.NAME and built_on(cfg, ("PartialBaseline",)):
        found[TRIPLET] = cfg.MODEL.LOSSES.TRI.START_ITER
    if built_on(cfg, ("DSR2018",)):
        found[VERIFICATION] = cfg.MODEL.LOSSES.VERIFICATION.START_ITER
    return found


def _check_teachers(cfg: Any) -> None:
    configs, weights = cfg.KD.MODEL_CONFIG, cfg.KD.MODEL_WEIGHTS
    if len(configs) != len(weights):
        raise ValueError(
            f"KD.MODEL_CONFIG names {len(configs)} teachers and KD.MODEL_WEIGHTS {len(weights)}: "
            "give one file of each for every teacher."
        )
    if not configs and not cfg.KD.EMA.ENABLED:
        raise ValueError(
            f"MODEL.META_ARCHITECTURE is {cfg.MODEL.META_ARCHITECTURE}, but there is no teacher: "
            "name one in KD.MODEL_CONFIG and KD.MODEL_WEIGHTS, or set KD.EMA.ENABLED True."
        )
    for key, paths in (("KD.MODEL_CONFIG", configs), ("KD.MODEL_WEIGHTS", weights)):
        for path in paths:
            # FastReID also loads from addresses.
            if "://" not in path and not os.path.isfile(path):
                raise FileNotFoundError(f'{key} names "{path}", which is not there.')
