"""What a resumed run takes from its checkpoint, and what from its config.

The weights, the optimizer's moments and the number of epochs come from the checkpoint. All that a
config says (rates, weight decay, the length of the schedule) comes from the config of the resumed
run: from its first iteration on, its rates are those that a run of this config from the start
would have. FastReID restores the rates and the schedule of the old config instead.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
import yaml
from fastreid.engine.hooks import LRScheduler

from ..keys.config_files import flat_config
from ..keys.reading_rules import built_on

logger = logging.getLogger(__name__)

# What a training began with, its weights depend on, though networks are not told apart by it.
BEGUN_WITH = "MODEL.BACKBONE.PRETRAIN"
# Under which name a checkpoint holds the teacher of KD.EMA, which is no part of FastReID's network.
TEACHER = "ema_teacher"
# Keys that say where a run starts or writes, not how it trains.
PLACES = (
    BEGUN_WITH,
    "MODEL.BACKBONE.PRETRAIN_PATH",
    "MODEL.WEIGHTS",
    "OUTPUT_DIR",
)


def epochs_done(data: Mapping[str, Any], path: str, cfg: Any) -> int:
    """How many epochs a checkpoint has behind it, if a run of `cfg` can go on from there.

    Args:
        data: what `read_checkpoint` returns.
        path: of the file, for the message.
        cfg: config of the resumed run.

    Raises:
        ValueError: the checkpoint holds no epoch, more of them than SOLVER.MAX_EPOCH, no optimizer,
            that of another SOLVER.OPT, or no teacher where the config has KD.EMA.
    """
    instead = f"To start anew from its weights, give MODEL.WEIGHTS {path} without --resume."
    epoch = data.get("epoch")
    if not isinstance(epoch, int):
        raise ValueError(
            f'--resume: the checkpoint "{path}" does not say after which epoch it was saved. '
            f"{instead}"
        )
    if epoch + 1 > cfg.SOLVER.MAX_EPOCH:
        raise ValueError(
            f'--resume: the checkpoint "{path}" has {epoch + 1} epochs behind it, more than '
            f"SOLVER.MAX_EPOCH {cfg.SOLVER.MAX_EPOCH}, and none is taken back: raise that key, or "
            f"evaluate the checkpoint by --eval-only MODEL.WEIGHTS {path}."
        )
    if epoch + 1 == cfg.SOLVER.MAX_EPOCH:
        return epoch + 1  # Only an evaluation is left, which needs the weights alone.
    if "optimizer" not in data:
        raise ValueError(
            f'--resume: the checkpoint "{path}" holds no optimizer, so training would not go on '
            f"but start over with trained weights. {instead}"
        )
    trained_with = _optimizer_of(data)
    if trained_with not in ("", cfg.SOLVER.OPT):
        raise ValueError(
            f'--resume: the checkpoint "{path}" holds the state of SOLVER.OPT {trained_with}, which'
            f" {cfg.SOLVER.OPT} cannot go on from: set SOLVER.OPT {trained_with}. {instead}"
        )
    if built_on(cfg, ("Distiller",)) and cfg.KD.EMA.ENABLED and TEACHER not in data:
        raise ValueError(
            f'--resume: the checkpoint "{path}" does not hold the teacher of KD.EMA.ENABLED, the '
            f"mean of the network in the iterations that are done. {instead}"
        )
    return epoch + 1


def go_on(
    data: Mapping[str, Any],
    cfg: Any,
    optimizer: torch.optim.Optimizer,
    schedulers: Mapping[str, Any],
    grad_scaler: Any,
    epochs: int,
    iters_per_epoch: int,
) -> None:
    """Bring optimizer, schedule and scale of the losses to where a checkpoint has left them.

    Args:
        data: what `read_checkpoint` returns.
        cfg: config of the resumed run.
        optimizer, schedulers: as `cfg` has built them.
        grad_scaler: of mixed precision, or None.
        epochs: that are done, see `epochs_done`.
        iters_per_epoch: iterations of an epoch.

    Raises:
        ValueError: as `restore_optimizer`.
    """
    restore_optimizer(optimizer, data["optimizer"])
    # Mixed precision on a CPU has no scale to save.
    if grad_scaler is not None and data.get("grad_scaler"):
        grad_scaler.load_state_dict(data["grad_scaler"])
    skipped = skipped_steps(data)
    replay_schedule(optimizer, schedulers, epochs, iters_per_epoch, cfg.SOLVER, skipped)


def _optimizer_of(data: Mapping[str, Any]) -> str:
    """SOLVER.OPT of a checkpoint; "" where it cannot be known, as its config was not saved."""
    return str(flat_config(saved_config(data)).get("SOLVER.OPT", ""))


def saved_config(data: Mapping[str, Any]) -> dict[str, Any]:
    """The config that a checkpoint was trained with; empty for one that does not hold it."""
    text = data.get("config")
    try:
        config = yaml.safe_load(text) if isinstance(text, str) else None
    except yaml.YAMLError:  # another program's
        config = None
    return config if isinstance(config, dict) else {}


def begun_with(data: Mapping[str, Any], cfg: Any) -> str:
    """The config of a resumed run, as its checkpoints are to hold it.

    A resumed run has MODEL.BACKBONE.PRETRAIN off, as the checkpoint holds all weights. What its
    network began with, the checkpoint says.

    Args:
        data: what `read_checkpoint` returns.
        cfg: config of the resumed run.
    """
    begun, saved = cfg.clone(), flat_config(saved_config(data))
    if BEGUN_WITH in saved:
        begun.merge_from_list([BEGUN_WITH, saved[BEGUN_WITH]])
    return str(begun.dump())


def differing_keys(data: Mapping[str, Any], cfg: Any) -> list[str]:
    """The keys whose values differ between a checkpoint's config and another, "KEY: old -> new".

    Keys that only one of them knows are left out, and those that say where a run starts or writes.
    """
    old, new = flat_config(saved_config(data)), flat_config(yaml.safe_load(cfg.dump()))
    return [
        f"{key}: {old[key]} -> {new[key]}"
        for key in new
        if key in old and key not in PLACES and old[key] != new[key]
    ]


def warn_of_other_values(data: Mapping[str, Any], cfg: Any, doing: str) -> None:
    """Log the keys of a resumed run that differ from those of its checkpoint, if there are any.

    Args:
        data: what `read_checkpoint` returns.
        cfg: config of the resumed run.
        doing: what it does with them.
    """
    if differences := differing_keys(data, cfg):
        logger.warning(
            f"{doing} with other values than the checkpoint was trained with: "
            + ", ".join(differences)
        )


def restore_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Give an optimizer the moments of a saved one; its rates and decays stay its own.

    Args:
        optimizer: as its config has built it.
        state: what the saved optimizer's `state_dict` returned.

    Raises:
        ValueError: the saved one was for other parameters, or of another kind.
    """
    own, saved = optimizer.state_dict()["param_groups"], state["param_groups"]
    if [len(group["params"]) for group in own] != [len(group["params"]) for group in saved]:
        raise ValueError(
            f"--resume: the checkpoint's optimizer has {len(saved)} groups of parameters, this "
            f"config's has {len(own)}: resume with the config of the checkpoint."
        )
    if any((name in own[0]) != (name in saved[0]) for name in ("betas", "momentum")):
        raise ValueError(
            "--resume: the checkpoint's optimizer is of another kind than SOLVER.OPT: set the one "
            "that it was trained with."
        )
    optimizer.load_state_dict({"state": state["state"], "param_groups": own})


def replay_schedule(
    optimizer: torch.optim.Optimizer,
    schedulers: Mapping[str, Any],
    epochs: int,
    iters_per_epoch: int,
    solver: Any,
    skipped: int = 0,
) -> None:
    """Bring fresh schedulers to where they stand after some epochs.

    They are stepped as `LRScheduler` steps them in training, as some compute each rate from the
    one before.

    Args:
        optimizer: with the rates that it has before the first iteration.
        schedulers: `lr_sched` and, with a warm-up, `warmup_sched`, fresh.
        epochs: that are done.
        iters_per_epoch: iterations of an epoch.
        solver: the config node SOLVER.
        skipped: steps of the warm-up that were left out, see `skipped_steps`.
    """
    hook = LRScheduler(optimizer, schedulers)
    hook.trainer = trainer = SimpleNamespace(
        warmup_iters=solver.WARMUP_ITERS,
        delay_epochs=solver.DELAY_EPOCHS,
        grad_scaler=None,
        storage=SimpleNamespace(put_scalar=lambda *_, **__: None),
        iter=0,
        epoch=0,
    )
    with warnings.catch_warnings():
        # The optimizer has made its steps, in the run before.
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        for trainer.epoch in range(epochs):
            for _ in range(iters_per_epoch):
                if trainer.iter >= skipped:
                    hook.after_step()
                trainer.iter += 1
            hook.after_epoch()


def skipped_steps(data: Mapping[str, Any]) -> int:
    """How many steps of its warm-up a run in mixed precision has left out so far.

    FastReID does not step the warm-up where the optimizer has not stepped, as gradients
    overflowed. A checkpoint that does not say at which iteration it was saved counts as none.
    """
    warmup = data.get("warmup_sched")
    if "grad_scaler" not in data or warmup is None or "iteration" not in data:
        return 0
    return max(0, min(data["iteration"], warmup["warmup_iters"]) - warmup["last_epoch"])
