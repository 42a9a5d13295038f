"""The mean of checkpoints: number by number, and refused where it would mean nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from partialreid.engine.weight_average import average_of, check_one_training


def test_mean_of_each_number() -> None:
    states = {
        "a": {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(7)},
        "b": {"w": torch.tensor([2.0, 4.0]), "n": torch.tensor(9)},
        "c": {"w": torch.tensor([6.0, 0.0]), "n": torch.tensor(8)},
    }
    found = average_of(states)
    assert torch.equal(found["w"], torch.tensor([3.0, 2.0]))
    assert found["n"] == 7 and found["n"].dtype == torch.long


def test_of_one_it_is_that_one_to_the_last_bit() -> None:
    state = {"w": torch.rand(50), "h": torch.rand(3).half()}
    found = average_of({"a": state})
    assert all(torch.equal(found[key], state[key]) for key in state)
    assert found["h"].dtype == torch.float16


def test_equal_ones_stay_what_they_are() -> None:
    """A sum in float32 would be off in the last digit."""
    state = {"w": torch.rand(1000)}
    assert torch.equal(average_of(dict.fromkeys("abc", state))["w"], state["w"])


@pytest.mark.parametrize("other", [{"w": torch.ones(3)}, {"v": torch.ones(2)}, {}], ids=str)
def test_other_networks_are_refused(other: dict) -> None:
    with pytest.raises(ValueError, match=r'"a.pth" and "b.pth" cannot be averaged.*[vw] is in one'):
        average_of({"a.pth": {"w": torch.ones(2)}, "b.pth": other})


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
