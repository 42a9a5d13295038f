"""One network from several: the mean of the weights of one training's last epochs, or of trainings.

At the end of a training the weights move about a place that is better than each of them (stochastic
weight averaging, Izmailov et al., UAI 2018). Several trainings that began with the same ImageNet
weights end so near to each other that their mean is a network, too: what they have in common stays,
and what each has by chance fades (model soups, Wortsman et al., ICML 2022; diverse weight
averaging, Rame et al., NeurIPS 2022). What an image goes through costs nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def distance_of(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """How far the backbones of two state dicts lie apart, as a share of the length of the first's.

    Convolutions and linear layers count, what normalises does not. The rest of a network, such as
    its classifiers, begins at random and is not looked at.
    """
    names = [
        name
        for name, value in one.items()
        if name.startswith("backbone.") and value.dim() > 1 and name in other
    ]
    both = [(one[name].double(), other[name].double()) for name in names]
    apart = sum(float((a - b).square().sum()) for a, b in both if a.shape == b.shape)
    length = sum(float(a.square().sum()) for a, _ in both)
    return float((apart / length) ** 0.5) if length else 0.0


def have_same_weights(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two state dicts agree in every number of what both have, and have something."""
    both = [key for key, value in one.items() if key in other and value.is_floating_point()]
    return bool(both) and all(torch.equal(one[key], other[key]) for key in both)


def average_of(
    states: Mapping[str, Mapping[str, Tensor]], counts: Mapping[str, int] | None = None
) -> dict[str, Tensor]:
    """The mean of several state dicts of one network, in the dtypes of the first.

    Statistics of batch norm are averaged as weights are. A pass of the mean network over training
    images, which would find its own, is not made. Whole numbers, which count batches, are taken
    from the first.

    Args:
        states: by the names of their files, which the error says.
        counts: as how many each counts, 1 or more, by the same names; None: each as one. What is
            the mean of two already counts as two, so that all that it is made of count alike.

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
    shares = [1 if counts is None else counts[name] for name in states]

    def mean(key: str) -> Tensor:
        parts = zip(shares, states.values(), strict=True)
        return torch.stack([share * state[key].double() for share, state in parts]).sum(0) / sum(
            shares
        )

    return {
        key: mean(key).to(value.dtype) if value.is_floating_point() else value.clone()
        for key, value in first.items()
    }
