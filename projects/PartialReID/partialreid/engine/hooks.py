"""Training hooks where FastReID's fail: streams of batches, evaluation, checkpoints, log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from fastreid.engine.hooks import PeriodicWriter
from fastreid.engine.train_loop import HookBase
from fastreid.evaluation.testing import flatten_results_dict
from fastreid.utils import comm
from torch import nn

from .evaluated_epochs import Evaluated, write_evaluated
from .inference import share_buffers


class StartEpoch(HookBase):
    """Reseeds the loader and every generator at the start of an epoch, so that a run can resume."""

    def before_epoch(self) -> None:
        """Start the epoch's stream of batches."""
        self.trainer.data_loader.start_epoch(self.trainer.epoch)


class ShareStatistics(HookBase):
    """Starts an epoch with the main process's batch-norm statistics in all processes.

    Each collects its own, and with INPUT.CUT.STATISTICS running its training depends on them. An
    evaluation and a checkpoint have those of the main process alone: a run that is evaluated, or
    resumed, after an epoch would go on otherwise than one that is not.

    Args:
        model: that is trained.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def before_epoch(self) -> None:
        """Share them, where there are several processes."""
        share_buffers(self.model)


def is_due(done: int, period: int, max_epoch: int) -> bool:
    """Whether a training evaluates after `done` epochs, see `Evaluate`."""
    return done >= max_epoch or (period > 0 and done % period == 0)


def metric_of(results: Mapping[str, Any]) -> float | None:
    """The metric of the first test set in the results of an evaluation; None where it has none."""
    if not results:
        return None
    first = next(iter(results.values()))
    metric: float | None = (first if isinstance(first, dict) else results).get("metric")
    return metric


class Evaluate(HookBase):
    """Evaluates every `period` epochs and always after the last one.

    FastReID evaluates the last epoch when the training is over, too late for `KeepBest`, and
    divides by a period of 0.

    Args:
        period: epochs between two evaluations; 0 evaluates after the last epoch alone.
        function: evaluates and returns the results, by test set where there are several.

    Attributes:
        metric: of the first test set after this very epoch; None where it was not evaluated.
    """

    def __init__(self, period: int, function: Callable[[], dict[str, Any]]) -> None:
        self.period = period
        self.function = function
        self.metric: float | None = None

    def after_epoch(self) -> None:
        """Evaluate when it is time, and log the numbers with the losses."""
        self.metric = None
        if not is_due(self.trainer.epoch + 1, self.period, self.trainer.max_epoch):
            return
        results = self.function()
        if results:
            self.metric = metric_of(results)
            self.trainer.storage.put_scalars(smoothing_hint=False, **flatten_results_dict(results))
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        comm.synchronize()


class Save(HookBase):
    """Writes `model_<epoch>` every `period` epochs and `model_final`, before they are evaluated.

    Args:
        checkpointer: writes the files.
        period: epochs between two checkpoints; 0 writes the last one alone.
    """

    def __init__(self, checkpointer: Any, period: int) -> None:
        self.checkpointer = checkpointer
        self.period = period

    def after_epoch(self) -> None:
        """Save what is due after this epoch."""
        epoch = self.trainer.epoch
        # After an epoch, `iter` already counts the last iteration.
        done = {"epoch": epoch, "iteration": self.trainer.iter}
        if epoch + 1 >= self.trainer.max_epoch:
            self.checkpointer.save("model_final", **done)
        elif self.period > 0 and (epoch + 1) % self.period == 0:
            self.checkpointer.save(f"model_{epoch:04d}", **done)


class KeepBest(HookBase):
    """Writes `model_best` when an evaluation is better than all before, resumed runs included.

    Args:
        checkpointer: writes the file.
        metric: returns the metric of this epoch's evaluation, or None without one.
        best: metric of the best checkpoint so far.
    """

    def __init__(self, checkpointer: Any, metric: Callable[[], float | None], best: float) -> None:
        self.checkpointer = checkpointer
        self.metric = metric
        self.best = best

    def after_epoch(self) -> None:
        """Save the model if it is the best one, then note that this epoch is evaluated."""
        metric = self.metric()
        if metric is None:
            return
        epoch = self.trainer.epoch
        if metric > self.best:
            self.best = float(metric)
            self.checkpointer.save("model_best", tag=False, epoch=epoch, best_metric=self.best)
        write_evaluated(self.checkpointer.save_dir, Evaluated(epoch, self.best))


class WriteEvents(PeriodicWriter):
    """FastReID's writer, which does not lose the metrics of an evaluation.

    It writes what is newer than its last line; at the last iteration of an epoch it would write
    before the evaluation, whose metrics carry the same iteration.
    """

    def after_step(self) -> None:
        """Write when it is time, except where `after_epoch` follows."""
        if (self.trainer.iter + 1) % self.trainer.iters_per_epoch:
            super().after_step()
