"""Weights in two bytes: how near they stay to what they were, against an oracle in float64."""

from __future__ import annotations

import pytest
import torch

from partialreid.engine.two_bytes import packed, unpacked


def back(value: torch.Tensor) -> torch.Tensor:
    return unpacked(packed("a.weight", value))["a.weight"]


@pytest.mark.parametrize("shape", [(7, 5, 3, 3), (1, 13), (40, 1, 1, 1), (17,)])
@pytest.mark.parametrize("size", [1e-44, 1e-41, 1e-38, 1e-36, 1e-34, 1e-30, 1.0, 1e30])
def test_a_weight_moves_by_half_a_step_of_its_channel(shape: tuple[int, ...], size: float) -> None:
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(shape, generator=generator) * size
    value[0] *= 1000  # Its channel alone pays for it.
    found = back(value)
    assert (found.dtype, found.shape) == (torch.float32, value.shape)
    exact = value.double()
    largest = exact.abs().flatten(1).amax(1) if len(shape) > 1 else exact.abs().amax()
    step = largest.reshape(-1, *[1] * (len(shape) - 1)) / 32767
    # Where the smallest scale is more than a step, a weight moves by half of that.
    allowed = step.clamp_min(torch.finfo(torch.float32).tiny)
    assert ((found.double() - exact).abs() <= 0.501 * allowed).all()
    assert packed("a", value)["a"].min() >= -32767


def test_it_is_nearer_than_float16() -> None:
    value = torch.randn(64, 256, generator=torch.Generator().manual_seed(0)) * 0.05
    rounded, half = (back(value) - value).norm(), (value.half().float() - value).norm()
    assert rounded < half / 4


def test_zeros_stay_zeros() -> None:
    value = torch.zeros(3, 4)
    value[1] = torch.tensor([0.0, 1.0, -1.0, 0.5])
    found = back(value)
    assert torch.equal(found[[0, 2]], torch.zeros(2, 4))
    assert found[1].tolist() == pytest.approx([0.0, 1.0, -1.0, 0.5], abs=2e-5)


def test_packed_again_it_moves_no_further() -> None:
    value = back(torch.randn(64, 256, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(back(value), value, rtol=2e-7, atol=0.0)


def test_other_tensors_come_back_as_they_are_and_float16_as_float32() -> None:
    state = {
        "a.scale": torch.rand(3),
        "bn.num_batches_tracked": torch.tensor(7),
        "old.weight": torch.rand(2, 2).half(),
    }
    found = unpacked({**state, **packed("a.weight", torch.rand(2, 3))})
    assert sorted(found) == sorted([*state, "a.weight"])
    assert torch.equal(found["a.scale"], state["a.scale"])
    assert found["bn.num_batches_tracked"].dtype == torch.int64
    assert found["old.weight"].dtype == torch.float32


def test_whole_numbers_without_their_scales_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.weight is of whole numbers"):
        unpacked({"a.weight": torch.ones(2, dtype=torch.int16)})


@pytest.mark.parametrize("shape", [(3,), (1, 1), (2, 3), (2, 1, 1)])
def test_scales_of_another_tensor_are_refused(shape: tuple[int, ...]) -> None:
    parts = packed("a.weight", torch.rand(2, 3))
    with pytest.raises(ValueError, match=r"a\.weight .* scales are not its own"):
        unpacked({**parts, "a.weight.scale": torch.ones(shape)})
