"""One network from several: the mean of the weights of one training's last epochs, or of trainings.

At the end of a training the weights move about a place that is better than each of them (stochastic
weight averaging, Izmailov et al., UAI 2018). Several trainings that began with the same ImageNet
weights end so near to each other that their mean is a network, too: what they have in common stays,
and what each has by chance fades (model soups, Wortsman et al., ICML 2022; diverse weight
averaging, Rame et al., NeurIPS 2022). What an image goes through costs nothing more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

from ..keys.config_files import flat_config, is_below
from .configuration import tree_config
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
# Keys in which trainings of one network may differ, besides: how it was taught. Of INPUT all but
# what a test reads as well.
OF_A_TRAINING = ("SEED", "SOLVER", "DATALOADER", "INPUT", "MODEL.LOSSES", "TEST.PRECISE_BN")
OF_A_TEST = (
    *("INPUT.SIZE_TRAIN", "INPUT.SIZE_TEST"),
    *("INPUT.KEEP_RATIO", "INPUT.KEEP_RATIO_LONGEST", "INPUT.KEEP_RATIO_STEP"),
    *("INPUT.CROP.ENABLED", "INPUT.CROP.SIZE"),
)
# How far the weights of two trainings may lie apart, as a share of the length of the first's. Four
# to ten epochs of MobileNetV2 from the same ImageNet weights end 0.1 to 0.25 apart; two networks
# that began with nothing in common 1.4.
APART = 0.7


class Difference(NamedTuple):
    """A key on whose value the configs of two checkpoints do not agree."""

    first: str  # name of a file, as is `other`
    other: str
    key: str
    value: Any  # in the first
    other_value: Any


def check_one_training(checkpoints: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that checkpoints are of one training, by the configs that they hold.

    Keys that only one of them knows, as another version wrote it, are passed over. Of a checkpoint
    that holds no config it is said that nobody can know.

    Args:
        checkpoints: what `read_checkpoint` returns, by the names of the files.

    Raises:
        ValueError: a key of two configs differs; names both files, the key and its values.
    """
    configs = {name: _config_of(data) for name, data in checkpoints.items()}
    for name in (name for name, config in configs.items() if not config):
        logger.warning(
            f'"{name}" does not hold the config that it was trained with: whether it is of the '
            "same training as the others cannot be checked"
        )
    for found in _differences({name: config for name, config in configs.items() if config}):
        raise ValueError(
            f'"{found.first}" and "{found.other}" cannot be averaged, as they are of different '
            f"trainings: {found.key} is {found.value!r} in the first and {found.other_value!r} in "
            "the second. Name checkpoints that one training has saved, of its last epochs; or take "
            "several trainings by --other-trainings."
        )


def check_one_network(checkpoints: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check that checkpoints of several trainings are of one network and of the same data.

    A key that the version of a training did not know yet has its default. A file that is a mean of
    trainings itself stands for each of them.

    Args:
        checkpoints: what `read_checkpoint` returns, by the names of the files.

    Returns:
        For each training the keys in which it differs from the first one; none for the first.

    Raises:
        ValueError: one does not hold its config; configs differ in more than in how the network was
            taught (`OF_A_TRAINING`); or weights lie so far apart that the trainings cannot have
            begun with the same ones.
    """
    configs = {name: _config_of(data) for name, data in checkpoints.items()}
    for name, config in configs.items():
        if not config:
            raise ValueError(
                f'"{name}" does not hold the config that it was trained with, so that nobody knows '
                "whether its network is that of the others: take a checkpoint that this project "
                "has written."
            )
    defaults = _flat(yaml.safe_load(tree_config({}, "", []).dump()))
    own: dict[str, dict[str, Any]] = {name: {} for name in checkpoints}
    for found in _differences({name: {**defaults, **each} for name, each in configs.items()}):
        if not _is_of(found.key, OF_A_TRAINING) or _is_of(found.key, OF_A_TEST):
            raise ValueError(
                f'"{found.first}" and "{found.other}" cannot be averaged, as they are of different '
                f"networks or data: {found.key} is {found.value!r} in the first and "
                f"{found.other_value!r} in the second."
            )
        own[found.other][found.key] = found.other_value
    (first, one), *others = checkpoints.items()
    for name, data in others:
        apart = distance_of(one["model"], data["model"])
        if apart > APART:
            raise ValueError(
                f'"{first}" and "{name}" cannot be averaged: their weights lie {apart:.2f} of '
                f"their length apart, more than {APART}, as those of trainings do that did not "
                "begin with the same weights (MODEL.BACKBONE.PRETRAIN or MODEL.WEIGHTS)."
            )
        logger.info(f'weights of "{name}": {apart:.2f} of their length from those of "{first}"')
    of_first = {**defaults, **configs[first]}
    return [
        {key: value for key, value in {**own[name], **of_one}.items() if of_first[key] != value}
        for name, data in checkpoints.items()
        for of_one in trainings_in(data)
    ]


def trainings_in(checkpoint: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trainings whose weights a checkpoint has, each by how it differs from its config.

    One that differs in nothing, but for a file that is the mean of several.
    """
    found: list[dict[str, Any]] = checkpoint.get("record", {}).get("trainings", [{}])
    return found


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


def _config_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The config that a checkpoint holds, by keys with dots; empty where it holds none."""
    return _flat(saved_config(data))


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    return flat_config(without_machine(config))


def _differences(configs: Mapping[str, Mapping[str, Any]]) -> Iterator[Difference]:
    """Keys by which each config differs from the first, but `FREE` and those that one lacks."""
    names = list(configs)
    for name in names[1:]:
        wanted, found = configs[names[0]], configs[name]
        for key, value in wanted.items():
            if key in found and found[key] != value and not _is_of(key, FREE):
                yield Difference(names[0], name, key, value, found[key])


def _is_of(key: str, nodes: tuple[str, ...]) -> bool:
    return any(is_below(key, node) for node in nodes)


def average_of(
    states: Mapping[str, Mapping[str, Tensor]], counts: Mapping[str, int] | None = None
) -> dict[str, Tensor]:
    """The mean of several state dicts of one network, in the dtypes of the first.

    Statistics of batch norm are averaged as weights are. A pass of the mean network over training
    images, which would find its own, is not made. Whole numbers, which count batches, are taken
    from the first.

    Args:
        states: by the names of their files, which the error says.
        counts: as how many each counts, by the same names; None: each as one. What is the mean of
            two already counts as two, so that all that it is made of count alike.

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
