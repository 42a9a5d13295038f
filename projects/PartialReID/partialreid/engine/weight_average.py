"""One network from the last epochs of a training: the mean of their weights.

At the end of a training the weights move about a place that is better than each of them (stochastic
weight averaging, Izmailov et al., UAI 2018). What an image goes through costs nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..keys.config_files import flat_config
from .model_header import FREE as OF_A_RUN
from .model_header import without_machine
from .resumption import saved_config

logger = logging.getLogger(__name__)

# Keys, or nodes with all their keys, that no weight depends on: how a network is run, what a
# training writes and how it is evaluated. A resumed run may have others than the epochs before.
FREE = (
    *OF_A_RUN,
    *("DATALOADER.NUM_WORKERS", "DATASETS.TESTS", "LOG_PERIOD", "SOLVER.CHECKPOINT_PERIOD"),
    *("TEST.AQE", "TEST.DSR", "TEST.EVAL_PERIOD", "TEST.FLIP", "TEST.IMS_PER_BATCH"),
    *("TEST.METRIC", "TEST.RERANK", "TEST.ROC"),
)


def check_one_training(checkpoints: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that checkpoints are of one training, by the configs that they hold.

    Keys that only one of them knows, as another version wrote it, are passed over. Of a checkpoint
    that holds no config it is said that nobody can know.

    Args:
        checkpoints: what `read_checkpoint` returns, by the names of the files.

    Raises:
        ValueError: a key of two configs differs; names both files, the key and its values.
    """
    first = ""
    wanted: dict[str, Any] = {}
    for name, data in checkpoints.items():
        found = flat_config(without_machine(saved_config(data)))
        if not found:
            logger.warning(
                f'"{name}" does not hold the config that it was trained with: whether it is of the '
                "same training as the others cannot be checked"
            )
        elif not first:
            first, wanted = name, found
        for key, value in wanted.items():
            if key in found and found[key] != value and not _is_free(key):
                raise ValueError(
                    f'"{first}" and "{name}" cannot be averaged, as they are of different '
                    f"trainings: {key} is {value!r} in the first and {found[key]!r} in the second. "
                    "Name checkpoints that one training has saved, of its last epochs."
                )


def _is_free(key: str) -> bool:
    return any(f"{key}.".startswith(f"{free}.") for free in FREE)


def average_of(states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several state dicts of one network, in the dtypes of the first.

    Statistics of batch norm are averaged as weights are. A pass of the mean network over training
    images, which would find its own, is not made. Whole numbers, which count batches, are taken
    from the first.

    Args:
        states: by the names of their files, which the error says.

    Raises:
        ValueError: they are not of one network.
    """
    (name, first), *others = states.items()
    for other, state in others:
        wrong = [
            key
            for key in first.keys() | state.keys()
            if key not in first or key not in state or first[key].shape != state[key].shape
        ]
        if wrong:
            raise ValueError(
                f'"{name}" and "{other}" cannot be averaged, as they are of different networks: '
                f"{min(wrong)} is in one of them alone, or of another shape."
            )
    return {
        key: torch.stack([state[key].double() for state in states.values()]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for key, value in first.items()
    }
