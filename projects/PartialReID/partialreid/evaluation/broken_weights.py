"""What a user is told where a network gives NaN: which weights do so, and what helps."""

from __future__ import annotations

from typing import Any

from fastreid.utils.events import get_event_storage

from ..runtime.checkpoint_age import age_in_file


def broken_weights(cfg: Any) -> ValueError:
    """The error for weights that cannot be evaluated.

    During a training it names the iteration and the run, elsewhere MODEL.WEIGHTS with the epoch
    and iteration that the file holds.

    Args:
        cfg: config of the evaluation.
    """
    try:
        iteration = get_event_storage().iter
        which = f'the weights of iteration {iteration} of the run in "{cfg.OUTPUT_DIR}"'
    except AssertionError:  # There is no event storage outside a training.
        weights = cfg.MODEL.WEIGHTS
        named = f'MODEL.WEIGHTS "{weights}"{age_in_file(weights)}'
        which = named if weights else "the weights of the network"
    return ValueError(
        f"{which} cannot be evaluated, as the network gives NaN or infinite numbers: the "
        "training has diverged; lower SOLVER.BASE_LR, or take an earlier checkpoint"
    )
