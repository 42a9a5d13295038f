"""The mean of checkpoints, number by number, and how far two lie apart."""

from __future__ import annotations

import pytest
import torch

from partialreid.engine.weight_average import average_of, distance_of


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


def test_a_mean_of_two_counts_as_two() -> None:
    """The mean of three, whichever two of them were averaged before."""
    states = {name: {"w": torch.rand(50, dtype=torch.double)} for name in "abc"}
    both = {"ab": average_of({name: states[name] for name in "ab"}), "c": states["c"]}
    found, expected = average_of(both, {"c": 1, "ab": 2})["w"], average_of(states)["w"]
    torch.testing.assert_close(found, expected, atol=1e-15, rtol=0)
    assert (average_of(both)["w"] - expected).abs().max() > 1e-3


@pytest.mark.parametrize("other", [{"w": torch.ones(3)}, {"v": torch.ones(2)}, {}], ids=str)
def test_other_networks_are_refused(other: dict) -> None:
    with pytest.raises(ValueError, match=r'"a.pth" and "b.pth" cannot be averaged.*[vw] is in one'):
        average_of({"a.pth": {"w": torch.ones(2)}, "b.pth": other})


def test_the_distance_passes_over_what_no_training_began_with() -> None:
    """Classifiers begin at random, and layers that normalise have vectors alone."""
    one = {
        "heads.w": torch.ones(2, 2),
        "backbone.bn.weight": torch.ones(3),
        "backbone.c": torch.ones(1, 4),
    }
    other = {**one, "heads.w": -one["heads.w"], "backbone.bn.weight": -one["backbone.bn.weight"]}
    assert distance_of(one, other) == 0
    assert distance_of({}, other) == 0
