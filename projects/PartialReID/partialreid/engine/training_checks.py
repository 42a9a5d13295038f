"""Checks of a training before it starts: batch, sampler, network, optimizer, identities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch

from ..data.masked_items import check_kinds, wants_masks
from ..data.smallest_sizes import check_room
from ..keys.reading_rules import WITH_MASKS, WITH_QUERIES, built_on
from ..systems.cut_queries import rows_of
from .layer_freezing import check_patterns
from .loss_checks import check_loss_names, check_loss_starts

# FastReID's SetReWeightSampler is missing: no batch that it accepts is ever filled.
SAMPLERS = (
    "TrainingSampler",
    "NaiveIdentitySampler",
    "BalancedIdentitySampler",
    "ImbalancedDatasetSampler",
)


def check_training(cfg: Any, world_size: int) -> None:
    """Check the keys that a training reads against each other.

    Args:
        cfg: config, MODEL.DEVICE resolved.
        world_size: processes of the whole job.

    Raises:
        ValueError: values do not fit; names the keys to change.
        FileNotFoundError: a file of a teacher is not there, see `loss_checks`.
    """
    batch, instances = cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_INSTANCE
    if batch < 1 or batch % world_size:
        raise ValueError(
            f"SOLVER.IMS_PER_BATCH {batch} cannot be shared by {world_size} processes: make it a "
            f"multiple of {world_size}."
        )
    sampler = cfg.DATALOADER.SAMPLER_TRAIN
    if sampler not in SAMPLERS:
        raise ValueError(
            f"DATALOADER.SAMPLER_TRAIN is {sampler!r}; it can be {', '.join(SAMPLERS)}."
        )
    if "Identity" in sampler and (instances < 1 or (batch // world_size) % instances):
        raise ValueError(
            f"each process gets {batch // world_size} of SOLVER.IMS_PER_BATCH {batch} images, which"
            f" is no multiple of DATALOADER.NUM_INSTANCE {instances}: change one of them."
        )
    if batch // world_size < 2:
        raise ValueError(
            f"SOLVER.IMS_PER_BATCH {batch} gives each of {world_size} processes one image, of which"
            " batch norm can learn nothing: make it at least twice the number of processes."
        )
    if "Identity" in sampler and batch // world_size == instances:
        raise ValueError(
            f"each process gets {batch // world_size} of SOLVER.IMS_PER_BATCH {batch} images, with "
            f"DATALOADER.NUM_INSTANCE {instances} all of one identity, and losses have nothing to "
            "tell apart: raise the first or lower the second."
        )
    architecture = cfg.MODEL.META_ARCHITECTURE
    if built_on(cfg, WITH_MASKS) and not wants_masks(cfg):
        raise ValueError(
            f"MODEL.META_ARCHITECTURE is {architecture}, which is trained with masks: set "
            "INPUT.OCCLUSION.ENABLED True, or DATASETS.MASKS to a folder of masks."
        )
    if built_on(cfg, WITH_QUERIES):
        _check_queries(cfg, world_size)
    if cfg.MODEL.META_ARCHITECTURE == "Baseline" and cfg.MODEL.HEADS.NAME == "DSRHead":
        raise ValueError(
            "MODEL.META_ARCHITECTURE is Baseline, whose losses do not reach the foreground branch "
            "of MODEL.HEADS.NAME DSRHead, by which it is evaluated: set the first to "
            "PartialBaseline."
        )
    for part in ("BACKBONE", "HEADS"):
        if cfg.MODEL[part].NORM == "syncBN" and cfg.MODEL.DEVICE == "cpu":
            raise ValueError(
                f"MODEL.{part}.NORM is syncBN, which torch has for GPUs alone: set it to BN."
            )
    check_loss_names(cfg)
    check_loss_starts(cfg)
    check_kinds(cfg.INPUT.OCCLUSION.KINDS)
    known = optimizers()
    if cfg.SOLVER.OPT not in known:
        raise ValueError(f"SOLVER.OPT is {cfg.SOLVER.OPT!r}; it can be {', '.join(known)}.")
    layers, iterations = cfg.MODEL.FREEZE_LAYERS, cfg.SOLVER.FREEZE_ITERS
    if bool(layers) != (iterations > 0):
        raise ValueError(
            f"MODEL.FREEZE_LAYERS is {list(layers)} and SOLVER.FREEZE_ITERS {iterations}: layers "
            "are frozen for a number of iterations, so set both or none."
        )
    check_patterns(layers)
    if not cfg.DATASETS.NAMES:
        raise ValueError("DATASETS.NAMES is empty: name at least one training set.")


def _check_queries(cfg: Any, world_size: int) -> None:
    """Check what a training needs in which half of each batch are queries."""
    architecture, sampler = cfg.MODEL.META_ARCHITECTURE, cfg.DATALOADER.SAMPLER_TRAIN
    if "Identity" not in sampler or cfg.DATALOADER.NUM_INSTANCE % 2:
        raise ValueError(
            f"MODEL.META_ARCHITECTURE is {architecture}, for which half of each identity's "
            "images are queries: set DATALOADER.SAMPLER_TRAIN to NaiveIdentitySampler and "
            "DATALOADER.NUM_INSTANCE to an even number."
        )
    # Whole queries go through the network with the gallery, as the batch of any other training.
    if cfg.INPUT.CUT.PROB > 0:
        _check_two_sizes(cfg, world_size)


def _check_two_sizes(cfg: Any, world_size: int) -> None:
    """Check what a training needs whose cut queries go through the network by themselves."""
    instances, probability = cfg.DATALOADER.NUM_INSTANCE, cfg.INPUT.CUT.PROB
    if "TripletLoss" in cfg.MODEL.LOSSES.NAME and instances < 4:
        raise ValueError(
            f"DATALOADER.NUM_INSTANCE is {instances}, of which half are queries, and "
            f"INPUT.CUT.PROB is {probability}: with TripletLoss in MODEL.LOSSES.NAME two images of "
            "an identity are needed in each half of a batch whose queries are cut. Set the first "
            "to 4, leave the loss out, or set INPUT.CUT.PROB to 0.0."
        )
    if cfg.TEST.PRECISE_BN.ENABLED:
        raise ValueError(
            f"TEST.PRECISE_BN.ENABLED cannot be had with INPUT.CUT.PROB {probability}: where the "
            "queries of a batch are cut, it would keep the statistics of the gallery half alone. "
            "Set the first to False or the second to 0.0."
        )
    for part in ("BACKBONE", "HEADS"):
        if world_size > 1 and cfg.MODEL[part].NORM == "syncBN":
            raise ValueError(
                f"MODEL.{part}.NORM is syncBN, but with INPUT.CUT.PROB {probability} each of "
                f"{world_size} processes cuts its queries differently, so that they would wait for "
                "each other: set the first to BN or the second to 0.0."
            )
    _check_cut(cfg)


def _check_cut(cfg: Any) -> None:
    """Check that the pyramid has room in the smallest cut."""
    size = cfg.INPUT.CROP.SIZE if cfg.INPUT.CROP.ENABLED else cfg.INPUT.SIZE_TRAIN
    if len(size) != 2 or min(size) < 1:
        return
    rows = rows_of(size[0], cfg.INPUT.CUT.SHARE[0], cfg.INPUT.CUT.STEP)
    try:
        check_room(cfg, rows, size[1])
    except ValueError as error:
        raise ValueError(
            f"INPUT.CUT.SHARE begins at {cfg.INPUT.CUT.SHARE[0]}, which leaves {rows} of "
            f"{size[0]} rows, and {error} Or begin at a larger share."
        ) from error


@cache
def optimizers() -> tuple[str, ...]:
    """What SOLVER.OPT can be: torch's optimisers that take any parameter, and a weight decay."""
    found = []
    for name, kind in vars(torch.optim).items():
        if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
            continue
        # One of a convolution's shape: some take matrices alone, or no groups with a rate each.
        group = {"params": [torch.nn.Parameter(torch.zeros(1, 1, 1, 1))], "lr": 0.1}
        build: Callable[..., torch.optim.Optimizer] = kind
        try:
            optimizer = build([{**group, "weight_decay": 0.0}], lr=0.1)
        except (TypeError, ValueError, NotImplementedError):
            continue
        if "weight_decay" in optimizer.defaults:
            found.append(name)
    return tuple(sorted(found))


def check_identities(cfg: Any, items: Sequence[tuple[str, Any, Any]], world_size: int) -> None:
    """Check that the sampler can fill a batch and an epoch has at least one iteration.

    FastReID's identity samplers search for ever when there are too few identities.

    Args:
        cfg: config.
        items: training images (path, id, camera).
        world_size: processes of the whole job.

    Raises:
        ValueError: too few identities or images.
    """
    batch = cfg.SOLVER.IMS_PER_BATCH

    if len(items) < batch:
        raise ValueError(
            f"there are {len(items)} training images, fewer than one batch: lower "
            f"SOLVER.IMS_PER_BATCH {batch}."
        )
    sampler = cfg.DATALOADER.SAMPLER_TRAIN
    images = Counter(item[1] for item in items)
    classes = cfg.MODEL.HEADS.NUM_CLASSES
    if 0 < classes < len(images):
        raise ValueError(
            f"MODEL.HEADS.NUM_CLASSES is {classes}, but the training set has {len(images)} "
            "identities: set it to 0, which counts them."
        )
    if "Identity" not in sampler:
        if len(images) < 2:
            raise ValueError(
                f"all {len(items)} training images show one identity, and there is nothing to tell "
                "apart: add others to the sets in DATASETS.NAMES, or lower DATASETS.HELD_OUT."
            )
        return
    instances = cfg.DATALOADER.NUM_INSTANCE
    wanted = batch // instances
    available = len(images)
    if sampler == "NaiveIdentitySampler":
        # It draws the identities of each process apart, and an identity whose images are used up
        # drops out: at worst those with the fewest, before the last process draws.
        wanted //= world_size
        draws = sorted(max(1, count // instances) for count in images.values())
        drawn = 0
        for count in draws:
            drawn += count
            if count >= world_size or drawn > wanted * (world_size - 1):
                break
            available -= 1
    if available < wanted:
        left = "" if available == len(images) else f", of which {available} may be left"
        raise ValueError(
            f"{sampler} needs {wanted} identities for a batch (SOLVER.IMS_PER_BATCH {batch}, "
            f"DATALOADER.NUM_INSTANCE {instances}, {world_size} processes), the training set has "
            f"{len(images)}{left}: lower the first or raise the second."
        )
