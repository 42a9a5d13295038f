"""Trainings that diverge end with an error: when, what is NaN or infinite, and what helps."""

from __future__ import annotations

from collections.abc import Mapping

from fastreid.engine.train_loop import HookBase
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..runtime.finite import name_first, not_finite

CURES = (
    "Lower SOLVER.BASE_LR, lengthen SOLVER.WARMUP_ITERS, or set SOLVER.CLIP_GRADIENTS.ENABLED True"
)


def check_losses(losses: Mapping[str, Tensor], iteration: int, mixed: bool = False) -> None:
    """Check that all losses of a step are finite.

    Args:
        losses: single numbers on the CPU, by name.
        iteration: of the training.
        mixed: whether they were computed in mixed precision.

    Raises:
        FloatingPointError: one is not; names all of them.
    """
    if all(value.isfinite() for value in losses.values()):
        return
    said = ", ".join(f"{name} is {float(value):.4g}" for name, value in losses.items())
    cures = CURES + (", or SOLVER.AMP.ENABLED False" if mixed else "")
    raise FloatingPointError(f"the training diverged: at iteration {iteration} {said}. {cures}.")


class StopIfDiverged(HookBase):
    """Ends a training after an epoch that leaves NaN or infinite weights, before they are saved.

    `check_losses` does not see it where it was the last step of the epoch that broke the weights.

    Args:
        model: that is trained, on several processes wrapped in DDP.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model.module if isinstance(model, DistributedDataParallel) else model

    def after_epoch(self) -> None:
        """Look at all weights and statistics.

        Raises:
            FloatingPointError: some hold NaN or an infinity.
        """
        state = self.model.state_dict()
        if names := not_finite(state):
            raise FloatingPointError(
                f"the training diverged: after epoch {self.trainer.epoch} and "
                f"{self.trainer.iter} iterations NaN or infinite numbers are in "
                f"{name_first(names, len(state))}. This epoch is not saved. {CURES}."
            )
