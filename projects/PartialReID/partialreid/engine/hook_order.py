"""Which hooks a training runs, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastreid.engine import hooks as fastreid_hooks
from fastreid.utils import comm

from ..runtime.device_batches import batches_on, device_of
from .divergence import StopIfDiverged
from .hooks import Evaluate, KeepBest, Save, ShareStatistics, StartEpoch, WriteEvents
from .layer_freezing import FreezeLayers


def ordered_hooks(trainer: Any, evaluate: Callable[[], dict[str, Any]]) -> list[Any]:
    """The hooks of a trainer, those of the main process with its files and its log.

    An epoch that ends with NaN is neither saved nor evaluated. Another is saved before it is
    evaluated, so that an error in the evaluation does not cost the epoch.

    Args:
        trainer: a `PartialTrainer` that is ready to train.
        evaluate: evaluates its model on all test sets.
    """
    cfg, model = trainer.cfg, trainer.model
    hooks = [
        StartEpoch(),
        ShareStatistics(model),
        fastreid_hooks.IterationTimer(),
        fastreid_hooks.LRScheduler(trainer.optimizer, trainer.scheduler),
    ]
    if cfg.TEST.PRECISE_BN.ENABLED and fastreid_hooks.get_bn_modules(model):
        precise = cfg.clone()
        precise.defrost()
        precise.DATALOADER.NUM_WORKERS = 0
        precise.DATASETS.NAMES = (cfg.TEST.PRECISE_BN.DATASET,)
        loader = batches_on(device_of(model), trainer.build_train_loader(precise))
        hooks.append(fastreid_hooks.PreciseBN(model, loader, cfg.TEST.PRECISE_BN.NUM_ITER))
    if cfg.MODEL.FREEZE_LAYERS and cfg.SOLVER.FREEZE_ITERS > 0:
        hooks.append(FreezeLayers(model, cfg.MODEL.FREEZE_LAYERS, cfg.SOLVER.FREEZE_ITERS))
    hooks.append(StopIfDiverged(model))
    main = comm.is_main_process()
    if main:
        hooks.append(Save(trainer.checkpointer, cfg.SOLVER.CHECKPOINT_PERIOD))
    evaluation = Evaluate(cfg.TEST.EVAL_PERIOD, evaluate)
    hooks.append(evaluation)
    if main:
        hooks += [
            KeepBest(
                trainer.checkpointer, lambda: evaluation.metric, trainer.evaluated.best_metric
            ),
            WriteEvents(trainer.build_writers(), cfg.LOG_PERIOD),
        ]
    return hooks
