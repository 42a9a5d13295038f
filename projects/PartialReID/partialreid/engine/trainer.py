"""The trainer: how a training begins, goes on and ends, on one CPU as on many processes."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
from typing import Any

import torch
from fastreid.engine.train_loop import TrainerBase
from fastreid.utils import comm
from fastreid.utils.events import (
    CommonMetricPrinter,
    EventStorage,
    JSONWriter,
    TensorboardXWriter,
)
from torch.nn.parallel import DistributedDataParallel

from ..backbones.pretrained_files import check_pretrained
from ..data.catalogue import train_items
from ..data.epoch_sampler import drawn_seed, epoch_seed
from ..keys.config_files import expand_paths
from ..keys.unread_keys import warn_of_idle_keys
from ..runtime.device import settle_device
from ..runtime.freed_memory import keep_freed_memory
from .checkpoint import SafeCheckpointer, last_checkpoint
from .checks import check_config, check_test_sets
from .evaluated_epochs import Evaluated, begin_anew, keep_checkpoint, read_evaluated
from .hook_order import ordered_hooks
from .hooks import is_due, metric_of
from .loss_checks import warn_of_late_losses
from .precise_set import check_precise_set
from .resumption import TEACHER, begun_with, epochs_done, go_on, warn_of_other_values
from .trainer_parts import TrainerParts
from .training_checks import check_identities
from .training_record import training_of
from .training_steps import FullPrecisionSteps, MixedPrecisionSteps

logger = logging.getLogger(__name__)


class PartialTrainer(TrainerParts):
    """Trains and evaluates on one CPU, one GPU or many processes of either.

    Args:
        cfg: config, see `checks.check_config`.
        allow_partial: load checkpoints whose keys match in part.
        tests_checked: `check_test_sets`, which decodes small sets, has passed before the start.

    Raises:
        ValueError: values of the config do not fit, said before data are read; or the training set
            does not fit the batch.
        ValueError, OSError: as `check_test_sets`, said before training data are read.
        RuntimeError: ImageNet weights cannot be downloaded; said before data are read.
    """

    def __init__(
        self, cfg: Any, allow_partial: bool = False, *, tests_checked: bool = False
    ) -> None:
        # Not DefaultTrainer's constructor: it needs CUDA for the loader and for DDP.
        TrainerBase.__init__(self)
        frozen, cfg = cfg.is_frozen(), cfg.clone()
        cfg.defrost()
        expand_paths(cfg)
        settle_device(cfg)
        check_config(cfg, comm.get_world_size(), eval_only=False)
        if comm.is_main_process():
            os.makedirs(cfg.OUTPUT_DIR or ".", exist_ok=True)
            warn_of_idle_keys(cfg, eval_only=False)
        if cfg.MODEL.DEVICE == "cpu":
            keep_freed_memory()
        if cfg.SEED < 0:
            # One for all processes, whose samplers share one order of the images.
            cfg.SEED = comm.all_gather(drawn_seed())[0]
            logger.info(f"SEED {cfg.SEED} was drawn for this run")
        if frozen:
            cfg.freeze()
        check_pretrained(cfg)
        if not tests_checked:
            check_test_sets(cfg)
        items = train_items(cfg)
        check_identities(cfg, items, comm.get_world_size())
        check_precise_set(cfg, items, comm.get_world_size())
        loader = self.build_train_loader(cfg, items)
        cfg = self.auto_scale_hyperparams(cfg, loader.dataset.num_classes)
        torch.manual_seed(epoch_seed(cfg.SEED, 0))
        model = self.build_model(cfg)
        optimizer, wrapper = self.build_optimizer(cfg, model)
        # FastReID keeps the teacher out of the network, and with it out of the checkpoints.
        distiller: Any = model if getattr(model, "ema_enabled", False) else None
        teacher = {} if distiller is None else {TEACHER: distiller.model_ts[0]}
        if comm.get_world_size() > 1:
            devices = [torch.cuda.current_device()] if cfg.MODEL.DEVICE == "cuda" else None
            model = DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)
        kind = MixedPrecisionSteps if cfg.SOLVER.AMP.ENABLED else FullPrecisionSteps
        self._trainer = kind(model, loader, optimizer, wrapper)

        self.cfg = cfg
        self.start_epoch = 0
        self.max_epoch = cfg.SOLVER.MAX_EPOCH
        self.iters_per_epoch = len(items) // cfg.SOLVER.IMS_PER_BATCH
        self.max_iter = self.max_epoch * self.iters_per_epoch
        self.warmup_iters = cfg.SOLVER.WARMUP_ITERS
        self.delay_epochs = cfg.SOLVER.DELAY_EPOCHS
        self.scheduler = self.build_lr_scheduler(cfg, optimizer, self.iters_per_epoch)
        states = dict(self.scheduler, optimizer=optimizer, **teacher)
        if self.grad_scaler is not None:
            states["grad_scaler"] = self.grad_scaler
        self.checkpointer = SafeCheckpointer(
            model,
            cfg.OUTPUT_DIR,
            save_to_disk=comm.is_main_process(),
            allow_partial=allow_partial,
            always={"config": cfg.dump()},
            **states,
        )
        # Of a resumed run, the checkpoint that it goes on from, and what was evaluated before.
        self.resumed_from = ""
        self.evaluated = Evaluated()
        self._last_eval_results: dict[str, Any] = {}

    def resume_or_load(self, resume: bool = True) -> None:
        """Continue from the last checkpoint in OUTPUT_DIR, or start from MODEL.WEIGHTS.

        A resumed run follows the schedule of its own config, see `resumption`. As in FastReID, one
        that has no checkpoint starts from MODEL.WEIGHTS; the command line refuses it before.

        Raises:
            ValueError: the checkpoint does not fit, or training cannot go on from it.
        """
        if resume and not self.checkpointer.has_checkpoint():
            logger.info(f'"{self.cfg.OUTPUT_DIR}" has no checkpoint to resume from: a new training')
            resume = False
        if not resume:
            self.checkpointer.load(self.cfg.MODEL.WEIGHTS, checkpointables=[])
            return
        path = last_checkpoint(self.cfg.OUTPUT_DIR)
        data = self.checkpointer.load(path, checkpointables=[])
        self.start_epoch = epochs_done(data, path, self.cfg)
        self.resumed_from = path
        # One for all processes, which evaluate together or not at all.
        self.evaluated = comm.all_gather(read_evaluated(self.cfg.OUTPUT_DIR))[0]
        finished = self.start_epoch >= self.max_epoch
        warn_of_other_values(data, self.cfg, "Evaluating" if finished else "Going on")
        if not finished:
            self.checkpointer.always["config"] = begun_with(data, self.cfg)
            if TEACHER in self.checkpointer.checkpointables:
                self.checkpointer.checkpointables[TEACHER].load_state_dict(data[TEACHER])
            go_on(
                data,
                self.cfg,
                self.optimizer,
                self.scheduler,
                self.grad_scaler,
                self.start_epoch,
                self.iters_per_epoch,
            )

    def train(self) -> dict[str, Any]:
        """Train from `start_epoch` to the end; a finished run is evaluated.

        What a resumed run was interrupted in evaluating, it evaluates first. A new run begins anew,
        see `evaluated_epochs`.

        Returns:
            The results of the last evaluation on the main process, an empty dict elsewhere.
        """
        if self.start_epoch >= self.max_epoch:
            logger.info(f"All {self.max_epoch} epochs are done: evaluating the last checkpoint")
            self._evaluate_checkpoint()
            return self._last_eval_results
        if not self.resumed_from:
            if comm.is_main_process():
                begin_anew(self.cfg.OUTPUT_DIR)
        elif self.evaluated.epoch + 1 < self.start_epoch and is_due(
            self.start_epoch, self.cfg.TEST.EVAL_PERIOD, self.max_epoch
        ):
            logger.info("The last checkpoint was not evaluated before the interruption")
            self._evaluate_checkpoint()
        # Built here and not in the constructor, as the best metric comes with the checkpoint.
        self.register_hooks(self.build_hooks())
        self.iter = self.start_iter = self.start_epoch * self.iters_per_epoch
        logger.info(f"Training from epoch {self.start_epoch} of {self.max_epoch}")
        if comm.is_main_process():
            warn_of_late_losses(self.cfg, self.max_iter)
        with EventStorage(self.start_iter) as self.storage:
            try:
                self._run_epochs()
            except BaseException:
                # Closes what the hooks have open; its own error would hide the one that counts.
                with contextlib.suppress(Exception):
                    self.after_train()
                raise
            self.after_train()
        return self._last_eval_results

    def _run_epochs(self) -> None:
        """FastReID's loop, which would log each error with its trace."""
        self.before_train()
        for epoch in range(self.start_epoch, self.max_epoch):
            self.epoch = epoch
            self.before_epoch()
            for _ in range(self.iters_per_epoch):
                self.before_step()
                self.run_step()
                self.after_step()
                self.iter += 1
            self.after_epoch()

    def build_hooks(self) -> list[Any]:
        """Hooks in the order in which they run."""
        return ordered_hooks(self, self._evaluate)

    def build_writers(self) -> list[Any]:
        """FastReID's writers, metrics.json with the value of each iteration and not a median."""
        path = os.path.join(self.cfg.OUTPUT_DIR, "metrics.json")
        return [
            CommonMetricPrinter(self.max_iter),
            JSONWriter(path, window_size=1),
            TensorboardXWriter(self.cfg.OUTPUT_DIR),
        ]

    def _evaluate(self) -> dict[str, Any]:
        self._last_eval_results = self.test(self.cfg, self.model)
        return self._last_eval_results

    def _evaluate_checkpoint(self) -> None:
        """Evaluate what was loaded, and keep it as the best one if its run did not come to that."""
        of_model: dict[str, Any] = {}
        # A `test` of a user's own takes what FastReID's does.
        if self.resumed_from and "of_model" in inspect.signature(self.test).parameters:
            of_model["of_model"] = training_of(self.resumed_from, self.cfg)
        self._last_eval_results = self.test(self.cfg, self.model, **of_model)
        metric = metric_of(self._last_eval_results)
        owed = self.resumed_from and self.evaluated.epoch + 1 < self.start_epoch
        if owed and metric is not None and comm.is_main_process():
            self.evaluated = keep_checkpoint(self.resumed_from, metric, self.evaluated)
        comm.synchronize()
