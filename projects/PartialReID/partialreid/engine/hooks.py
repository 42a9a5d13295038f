"""Training hooks where FastReID's fail: streams of batches, evaluation, checkpoints, log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from fastreid.engine.hooks import PeriodicWriter
from fastreid.engine.train_loop import HookBase
from fastreid.evaluation.testing import flatten_results_dict
from fastreid.utils import comm


class StartEpoch(HookBase):
    """Reseeds the loader and every generator at the start of an epoch, so that a run can resume."""

    def before_epoch(self) -> None:
        """Start the epoch's stream of batches."""
        self.trainer.data_loader.start_epoch(self.trainer.epoch)


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
        done = self.trainer.epoch + 1
        self.metric = None
        if done < self.trainer.max_epoch and (self.period <= 0 or done % self.period):
            return
        results = self.function()
        if results:
            first = next(iter(results.values()))
            self.metric = (first if isinstance(first, dict) else results).get("metric")
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
        """Save the model if it is the best one."""
        metric = self.metric()
        if metric is None or metric <= self.best:
            return
        self.best = float(metric)
        extra = {"epoch": self.trainer.epoch, "best_metric": self.best}
        self.checkpointer.save("model_best", tag=False, **extra)


class WriteEvents(PeriodicWriter):
    """FastReID's writer, which does not lose the metrics of an evaluation.

    It writes what is newer than its last line; at the last iteration of an epoch it would write
    before the evaluation, whose metrics carry the same iteration.
    """

    def after_step(self) -> None:
        """Write when it is time, except where `after_epoch` follows."""
        if (self.trainer.iter + 1) % self.trainer.iters_per_epoch:
            super().after_step()
