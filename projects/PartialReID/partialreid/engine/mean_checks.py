"""Which checkpoints may be averaged: those of one training, or of several of one network.

The mean of others is a network as well, which finds nobody, or of which nobody can say what it was
taught. So what the files say of themselves is compared before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import yaml

from ..keys.config_files import flat_config, is_below
from .configuration import tree_config
from .model_header import FREE as OF_A_RUN
from .model_header import without_machine
from .resumption import saved_config
from .weight_average import distance_of, have_same_weights

logger = logging.getLogger(__name__)

# Keys, or nodes with all their keys, that no weight depends on: how a network is run, what a
# training writes and how it is evaluated. A resumed run may have others than the epochs before.
FREE = (
    *OF_A_RUN,
    *("DATALOADER.NUM_WORKERS", "DATASETS.TESTS", "LOG_PERIOD", "SOLVER.CHECKPOINT_PERIOD"),
    *("INPUT.KEEP_RATIO", "INPUT.KEEP_RATIO_LONGEST", "INPUT.KEEP_RATIO_STEP"),
    *("INPUT.KEEP_RATIO_WHOLE", "INPUT.DETAIL"),
    *("TEST.AQE", "TEST.DSR", "TEST.EVAL_PERIOD", "TEST.FLIP", "TEST.IMS_PER_BATCH"),
    *("TEST.METRIC", "TEST.RERANK", "TEST.ROC"),
)
# Architectures of one network, which they teach differently.
ARCHITECTURE = "MODEL.META_ARCHITECTURE"
OF_ONE_NETWORK = {"PartialBaseline", "FPRBaseline", "ReconstructionBaseline"}
# Keys in which trainings of one network may differ, besides: how it was taught. Of INPUT all but
# what a test reads as well.
OF_A_TRAINING = (
    *("SEED", "SOLVER", "DATALOADER", "INPUT", "MODEL.LOSSES", "TEST.PRECISE_BN"),
    ARCHITECTURE,
)
OF_A_TEST = ("INPUT.SIZE_TRAIN", "INPUT.SIZE_TEST", "INPUT.CROP.ENABLED", "INPUT.CROP.SIZE")
# No value of a key that a config does not know.
UNKNOWN = object()
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
            taught (`OF_A_TRAINING`, and of architectures `OF_ONE_NETWORK`); or weights lie so far
            apart that the trainings cannot have begun with the same ones; or two files have the
            same.
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
        architectures = {found.value, found.other_value} if found.key == ARCHITECTURE else set()
        if not of_training(found.key) or not architectures <= OF_ONE_NETWORK:
            raise ValueError(
                f'"{found.first}" and "{found.other}" cannot be averaged, as they are of different '
                f"networks or data: {found.key} is {found.value!r} in the first and "
                f"{found.other_value!r} in the second."
            )
        own[found.other][found.key] = found.other_value
    for (name, data), (other, with_other) in combinations(checkpoints.items(), 2):
        if have_same_weights(data["model"], with_other["model"]):
            raise ValueError(f'"{name}" and "{other}" have the same weights: name one of them.')
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
    trainings = [
        (name, {k: v for k, v in {**own[name], **of_one}.items() if of_first.get(k, UNKNOWN) != v})
        for name, data in checkpoints.items()
        for of_one in trainings_in(data)
    ]
    _warn_of_one_twice(trainings)
    return [keys for _, keys in trainings]


def trainings_in(checkpoint: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trainings whose weights a checkpoint has, each by how it differs from its config.

    One that differs in nothing, but for a file that is the mean of several.
    """
    found: list[dict[str, Any]] = checkpoint.get("record", {}).get("trainings", [{}])
    return found


def _warn_of_one_twice(trainings: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Say where one training may be in two files, so that it would count twice.

    It may have been made a second time with the same keys, too: what went into a mean, nobody can
    see in it.

    Args:
        trainings: of each its file, and how it differs from the first.
    """
    pairs = combinations(trainings, 2)
    # Of two means that have several in common each is said once.
    same = {(a, b, str(keys or "none")) for (a, one), (b, keys) in pairs if one == keys and a != b}
    for name, other, keys in sorted(same):
        logger.warning(
            f'"{name}" and "{other}" are of trainings with the same keys (against the first: '
            f"{keys}): if it is one training, it counts twice, and one of the files is to be left "
            "out"
        )


def check_as_first(cfg: Any, checkpoint: Mapping[str, Any]) -> None:
    """Check that a config says of the training what the first checkpoint of a mean does.

    What the others differ in is said against it.

    Raises:
        ValueError: a key of the training has another value.
    """
    own, now = _config_of(checkpoint), _flat(yaml.safe_load(cfg.dump()))
    for key, value in own.items():
        if of_training(key) and now.get(key, value) != value:
            raise ValueError(
                f"{key} says how the first training was taught, with {value!r}, and no mean "
                f"changes that: {now[key]!r} cannot be written in its place."
            )


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


def of_training(key: str) -> bool:
    """Whether a key says how a network was taught, and nothing of what a test does."""
    return _is_of(key, OF_A_TRAINING) and not _is_of(key, (*OF_A_TEST, *FREE))


def _is_of(key: str, nodes: tuple[str, ...]) -> bool:
    return any(is_below(key, node) for node in nodes)
