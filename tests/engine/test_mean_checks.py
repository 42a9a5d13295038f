"""Checkpoints that may be averaged, and those that are refused."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
import yaml

from partialreid.engine.mean_checks import (
    APART,
    ARCHITECTURE,
    OF_ONE_NETWORK,
    check_as_first,
    check_one_network,
    check_one_training,
)
from partialreid.engine.weight_average import distance_of


def trained_with(make_config, *options: Any) -> dict[str, Any]:
    """A checkpoint of a training with these keys, without its weights."""
    return {"config": make_config(*options).dump()}


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("SEED", 0, 1),
        ("SOLVER.BASE_LR", 0.001, 0.002),
        ("MODEL.META_ARCHITECTURE", "FPRBaseline", "PartialBaseline"),
        ("DATASETS.NAMES", ("Market1501",), ("/data/people",)),
        ("TEST.PRECISE_BN.ENABLED", False, True),
    ],
)
def test_other_trainings_are_refused(make_config, key: str, one: object, other: object) -> None:
    checkpoints = {
        "a.pth": trained_with(make_config, key, one),
        "b.pth": trained_with(make_config, key, one, "OUTPUT_DIR", "elsewhere"),
    }
    check_one_training(checkpoints)
    checkpoints["c.pth"] = trained_with(make_config, key, other)
    with pytest.raises(ValueError, match=r'"a.pth" and "c.pth" cannot be averaged') as caught:
        check_one_training(checkpoints)
    assert f"different trainings: {key} is " in str(caught.value)


def test_where_it_ran_and_how_it_was_evaluated_is_free(
    make_config, caplog: pytest.LogCaptureFixture
) -> None:
    """A resumed run may name other folders, devices, test sets and periods."""
    options = ["OUTPUT_DIR", "x", "DATASETS.ROOT", "y", "MODEL.DEVICE", "cpu", "LOG_PERIOD", 7]
    options += ["MODEL.BACKBONE.PRETRAIN", True, "MODEL.CHANNELS_LAST", "off"]
    options += ["MODEL.WEIGHTS", "z.pth", "DATASETS.TESTS", ("PartialREID",)]
    options += ["TEST.EVAL_PERIOD", 3, "TEST.DSR.LAMBDA", 0.25, "SOLVER.CHECKPOINT_PERIOD", 2]
    # Of folders it is their own names that count.
    here, there = (["DATASETS.NAMES", (f"folder:/{place}/people",)] for place in "ab")
    other = trained_with(make_config, *options, *there)
    check_one_training({"a.pth": trained_with(make_config, *here), "b.pth": other})
    assert not caplog.records


def test_of_a_checkpoint_without_config_nobody_knows(
    make_config, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that hold theirs are compared all the same."""
    checkpoints = {
        "old.pth": {},
        "a.pth": trained_with(make_config, "SEED", 1),
        "b.pth": trained_with(make_config, "SEED", 2),
    }
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ValueError, match=r'"a.pth" and "b.pth" .* SEED is 1 in the first and 2 in'),
    ):
        check_one_training(checkpoints)
    assert [record.getMessage()[:10] for record in caplog.records] == ['"old.pth" ']


def two_trainings(make_config, *options: Any) -> dict[str, dict[str, Any]]:
    """Two checkpoints that began with the same weights, the second trained by these keys."""
    weights = {"backbone.conv.weight": torch.ones(2, 3), "heads.classifier.weight": torch.ones(4)}
    moved = {
        "backbone.conv.weight": torch.full((2, 3), 1.25),
        "heads.classifier.weight": -weights["heads.classifier.weight"],
    }
    return {
        "a.pth": {**trained_with(make_config), "model": weights},
        "b.pth": {**trained_with(make_config, *options), "model": moved},
    }


def test_other_trainings_of_one_network_are_told_apart(make_config) -> None:
    options = ["SEED", 7, "MODEL.LOSSES.CE.SCALE", 0.5, "INPUT.CJ.PROB", 0.25, "OUTPUT_DIR", "b"]
    found = check_one_network(two_trainings(make_config, *options))
    assert found == [{}, {"SEED": 7, "MODEL.LOSSES.CE.SCALE": 0.5, "INPUT.CJ.PROB": 0.25}]


def test_an_architecture_is_a_way_of_training(make_config) -> None:
    """FPR, FastReID-DSR and ours have one network, which their architectures teach differently."""
    first, *others = sorted(OF_ONE_NETWORK)
    for other in others:
        both = two_trainings(make_config, ARCHITECTURE, other)
        both["a.pth"] |= trained_with(make_config, ARCHITECTURE, first)
        assert check_one_network(both)[1] == {ARCHITECTURE: other}
    options = [ARCHITECTURE, others[0]]
    with pytest.raises(ValueError, match="META_ARCHITECTURE says how the first training was"):
        check_as_first(make_config(*options), both["a.pth"])


def test_a_mean_stands_for_each_of_its_trainings(make_config) -> None:
    """Each by its difference from the first of all, whichever file it is in."""
    shapes = ["INPUT.OCCLUSION.KINDS", ("shapes",)]
    both = two_trainings(make_config, "SEED", 7, "INPUT.CUT.PROB", 0.7, *shapes)
    # As a model file writes them: one like the file's config, and one with the first's seed.
    of_mean = [{}, {"SEED": 0, "INPUT.CUT.PROB": 0.4}]
    both["b.pth"]["record"] = {"averaged": 2, "trainings": of_mean}
    first, second, third = check_one_network(both)
    assert first == {}
    assert second == {"SEED": 7, "INPUT.CUT.PROB": 0.7, "INPUT.OCCLUSION.KINDS": ["shapes"]}
    # It has the first's seed again, which is no difference from it.
    assert third == {"INPUT.CUT.PROB": 0.4, "INPUT.OCCLUSION.KINDS": ["shapes"]}
    # The mean first.
    swapped = check_one_network({"b.pth": both["b.pth"], "a.pth": both["a.pth"]})
    assert swapped == [
        {},
        {"SEED": 0, "INPUT.CUT.PROB": 0.4},
        {"SEED": 0, "INPUT.CUT.PROB": 0.0, "INPUT.OCCLUSION.KINDS": ["shapes", "pieces"]},
    ]


def test_a_key_that_only_the_record_of_a_mean_knows_is_kept(make_config) -> None:
    """One that another version had: it is no key of this one."""
    both = two_trainings(make_config, "SEED", 7)
    both["b.pth"]["record"] = {"averaged": 2, "trainings": [{}, {"INPUT.GONE.PROB": 0.5}]}
    assert check_one_network(both) == [{}, {"SEED": 7}, {"SEED": 7, "INPUT.GONE.PROB": 0.5}]


def test_one_training_in_two_files_is_said(make_config, caplog: pytest.LogCaptureFixture) -> None:
    both = two_trainings(make_config, "SEED", 7)
    with caplog.at_level(logging.WARNING):
        check_one_network(both)
        assert not caplog.records
        # The mean holds a training with the keys of the first.
        both["b.pth"]["record"] = {"averaged": 2, "trainings": [{}, {"SEED": 0}]}
        assert check_one_network(both) == [{}, {"SEED": 7}, {}]
    assert '"a.pth" and "b.pth" are of trainings with the same keys' in caplog.text
    assert caplog.text.count("the same keys") == 1
    # A backbone that was kept as it is makes no difference, heads do.
    both["b.pth"]["model"]["backbone.conv.weight"] = both["a.pth"]["model"]["backbone.conv.weight"]
    check_one_network(both)
    both["b.pth"]["model"] = both["a.pth"]["model"]
    with pytest.raises(ValueError, match=r'"a.pth" and "b.pth" have the same weights'):
        check_one_network(both)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.HEADS.DSR.KERNELS", (2, 4)),
        # It may be anybody's, with a network of its own behind the same keys.
        ("MODEL.META_ARCHITECTURE", "MoCo"),
        # That of DSR has no occlusion unit.
        ("MODEL.HEADS.NAME", "DSR2018Head"),
        ("INPUT.SIZE_TEST", [384, 128]),
        ("INPUT.CROP.ENABLED", True),
        ("DATASETS.HELD_OUT", 3),
        ("DATASETS.NAMES", ("folder:people",)),
    ],
)
def test_other_networks_and_data_are_no_other_trainings(make_config, key: str, value: Any) -> None:
    with pytest.raises(
        ValueError, match=rf'"a.pth" and "b.pth" .* different networks .*: {key} is'
    ):
        check_one_network(two_trainings(make_config, key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [("INPUT.KEEP_RATIO", "gallery"), ("INPUT.KEEP_RATIO_WHOLE", 3.0), ("INPUT.DETAIL", 0.5)],
)
def test_how_test_images_are_scaled_is_no_difference(make_config, key: str, value: Any) -> None:
    """No weight depends on it: a training of yesterday's config may be averaged with today's."""
    both = two_trainings(make_config, key, value, "SEED", 7)
    assert check_one_network(both) == [{}, {"SEED": 7}]
    # And the mean may be written with another one.
    check_as_first(make_config(key, value), both["a.pth"])
    with pytest.raises(ValueError, match="SEED says how the first training was taught"):
        check_as_first(make_config("SEED", 7), both["a.pth"])


def test_trainings_that_began_with_other_weights_are_refused(make_config) -> None:
    both = two_trainings(make_config)
    assert distance_of(both["a.pth"]["model"], both["b.pth"]["model"]) == pytest.approx(0.25)
    torch.manual_seed(0)
    for data in both.values():
        data["model"]["backbone.conv.weight"] = torch.randn(64, 32, 3, 3)
    assert distance_of(both["a.pth"]["model"], both["b.pth"]["model"]) > 2 * APART * 0.95
    with pytest.raises(ValueError, match=r'"b.pth" cannot be averaged: their weights lie 1\.4'):
        check_one_network(both)


def test_of_other_trainings_each_holds_its_config(make_config) -> None:
    """Else nobody knows whether it is the same network, and "nothing differs" would be made up."""
    for name in ("a.pth", "b.pth"):
        both = two_trainings(make_config)
        del both[name]["config"]
        with pytest.raises(ValueError, match=f'"{name}" does not hold the config'):
            check_one_network(both)


def test_a_key_that_a_training_did_not_know_has_its_default(make_config) -> None:
    both = two_trainings(make_config, "INPUT.SHRINK.ENABLED", True)
    older = yaml.safe_load(both["a.pth"]["config"])
    del older["INPUT"]["SHRINK"]
    both["a.pth"]["config"] = yaml.safe_dump(older)
    assert check_one_network(both) == [{}, {"INPUT.SHRINK.ENABLED": True}]
