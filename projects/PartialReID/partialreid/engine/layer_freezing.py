"""MODEL.FREEZE_LAYERS: layers that keep their weights for the first SOLVER.FREEZE_ITERS iterations.

FastReID counts these iterations from the start of the process, so that a resumed run freezes the
layers again, lets batch norm go on after the first evaluation, and passes over a misspelt name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from fastreid.engine.train_loop import HookBase
from torch import nn
from torch.nn.parallel import DistributedDataParallel

logger = logging.getLogger(__name__)


def check_patterns(names: Sequence[str]) -> None:
    """Check that each name is a pattern, before there is a network with layers to compare it with.

    Raises:
        ValueError: one is none, as a bracket is not closed.
    """
    for layer in names:
        try:
            re.compile(layer)
        except (re.error, OverflowError, TypeError) as error:
            raise ValueError(
                f"MODEL.FREEZE_LAYERS holds {layer!r}, which is no regular expression ({error}): "
                "write the beginning of a layer's name, as backbone."
            ) from error


def check_layers(model: nn.Module, names: Sequence[str]) -> None:
    """Check that each name is that of a layer with weights.

    Args:
        model: as the config has built it.
        names: the key MODEL.FREEZE_LAYERS; each is a pattern that a parameter's name begins with,
            as in FastReID.

    Raises:
        ValueError: a name fits nothing; lists the layers that there are.
    """
    parameters = [name for name, _ in model.named_parameters()]
    for layer in names:
        if not any(re.match(layer, name) for name in parameters):
            layers = sorted({".".join(name.split(".")[:2]) for name in parameters})
            children = [name for name, _ in model.named_children()]
            raise ValueError(
                f"MODEL.FREEZE_LAYERS holds {layer!r}, which no layer is called. There are "
                f"{', '.join(children)}, and in them {', '.join(layers)}."
            )


class FreezeLayers(HookBase):
    """Keeps weights and batch-norm statistics of some layers as they are for some iterations.

    Args:
        model: that is trained, on several processes wrapped in DDP.
        names: see `check_layers`.
        iterations: of the whole run, not of this process.
    """

    def __init__(self, model: nn.Module, names: Sequence[str], iterations: int) -> None:
        if isinstance(model, DistributedDataParallel):
            model = model.module
        self.iterations = iterations

        def frozen(name: str) -> bool:
            return any(re.match(layer, name) for layer in names)

        self.parameters = [p for name, p in model.named_parameters() if frozen(name)]
        self.modules = [m for name, m in model.named_modules() if name and frozen(name)]
        self.names = ", ".join(names)
        self.frozen = False
        self._handle: Any = None

    def before_train(self) -> None:
        """Have `_forget_gradients` called before each step of the optimizer."""
        self._handle = self.trainer.optimizer.register_step_pre_hook(self._forget_gradients)

    def before_step(self) -> None:
        """Put frozen layers into evaluation mode; an evaluation has put them into training mode."""
        freeze = self.trainer.iter < self.iterations
        if freeze != self.frozen:
            until = f"are frozen for {self.iterations} iterations" if freeze else "are trained"
            logger.info(f"The layers {self.names} {until}")
        if freeze or self.frozen:
            for module in self.modules:
                module.train(not freeze)
        self.frozen = freeze

    def after_train(self) -> None:
        """Leave the optimizer as it was."""
        if self._handle is not None:
            self._handle.remove()

    def _forget_gradients(self, *_: Any) -> None:
        if self.frozen:
            for parameter in self.parameters:
                parameter.grad = None
