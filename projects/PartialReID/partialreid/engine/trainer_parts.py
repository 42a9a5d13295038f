"""What a trainer is made of: FastReID's parts, but those that fail on a CPU or on current torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastreid.engine.defaults import DefaultTrainer
from fastreid.solver import build_optimizer
from torch import nn

from ..data.catalogue import train_items
from ..data.loaders import TrainLoader, build_test_loader
from ..unreached_parameters import freeze_unreached_of_fastreid
from .inference import build_evaluator, evaluate_test_sets
from .layer_freezing import check_layers


class TrainerParts(DefaultTrainer):
    """Loaders, network, optimizer, schedule and evaluation, each by a method as FastReID's has it.

    Who wants another part overrides its method in a class of `PartialTrainer`.
    """

    @classmethod
    def build_train_loader(cls, cfg: Any, items: Any = None) -> TrainLoader:
        """Endless batches of the training images."""
        return TrainLoader(cfg, train_items(cfg) if items is None else items)

    @classmethod
    def build_test_loader(cls, cfg: Any, dataset_name: str) -> tuple[Any, int]:
        """Batches of queries, then gallery, and the number of queries."""
        return build_test_loader(cfg, dataset_name)

    @classmethod
    def build_model(cls, cfg: Any) -> nn.Module:
        """FastReID's, without what no loss would reach, see `unreached_parameters`."""
        model: nn.Module = super().build_model(cfg)
        freeze_unreached_of_fastreid(model)
        return model

    @classmethod
    def build_optimizer(cls, cfg: Any, model: nn.Module) -> Any:
        """FastReID's optimizer without its flat buffers and without its frozen layers.

        The buffers' gradients are set once; since torch 2.0 `zero_grad` drops them, and no
        parameter ever changes. `FreezeLayers` does the freezing.

        Raises:
            ValueError: MODEL.FREEZE_LAYERS names a layer that there is not.
        """
        check_layers(model, cfg.MODEL.FREEZE_LAYERS)
        cfg = cfg.clone()
        cfg.defrost()
        cfg.SOLVER.FREEZE_ITERS = 0
        return build_optimizer(cfg, model, contiguous=False)

    @classmethod
    def build_lr_scheduler(cls, cfg: Any, optimizer: Any, iters_per_epoch: int) -> Any:
        """FastReID's schedulers; a run that ends within its warm-up gets one cosine epoch.

        Such a run never steps the cosine, but a period of zero would divide by zero.
        """
        warm = max(-(-cfg.SOLVER.WARMUP_ITERS // iters_per_epoch), cfg.SOLVER.DELAY_EPOCHS)
        if warm >= cfg.SOLVER.MAX_EPOCH:
            cfg = cfg.clone()
            cfg.defrost()
            cfg.SOLVER.MAX_EPOCH = warm + 1
        return super().build_lr_scheduler(cfg, optimizer, iters_per_epoch)

    @classmethod
    def build_evaluator(cls, cfg: Any, dataset_name: str, output_dir: str | None = None) -> Any:
        """Test loader and evaluator of one test set."""
        return build_evaluator(cfg, dataset_name)

    @classmethod
    def test(
        cls, cfg: Any, model: nn.Module, of_model: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Evaluate on all test sets, see `inference.evaluate_test_sets`."""
        return evaluate_test_sets(cfg, model, of_model)
