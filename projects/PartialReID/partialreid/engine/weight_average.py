"""One network from the last epochs of a training: the mean of their weights.

At the end of a training the weights move about a place that is better than each of them (stochastic
weight averaging, Izmailov et al., UAI 2018). What an image goes through costs nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def average_of(states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several state dicts of one network, in the dtypes of the first.

    Statistics of batch norm are averaged as weights are: of epochs so near to each other they are
    nearly those of the mean network. Whole numbers, which count batches, are taken from the first.

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
