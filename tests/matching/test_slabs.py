"""Many tensors in few blocks are the tensors that they were."""

from __future__ import annotations

import pytest
import torch

from partialreid.matching import slabs
from partialreid.matching.slabs import Slabs


def shapes(count: int) -> list[tuple[int, ...]]:
    """Of different sizes, some without a number in them."""
    return [(n % 7, 1 + n % 5) if n % 3 else (n,) for n in range(count)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64], ids=str)
def test_what_is_appended_comes_back(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slabs, "FIRST_BLOCK", 64)
    monkeypatch.setattr(slabs, "LARGEST_BLOCK", 2048)
    kept, wanted = Slabs(), []
    for number, shape in enumerate([*shapes(200), (3000,), (2, 2)]):
        tensor = (100 * torch.rand(shape, generator=torch.Generator().manual_seed(number))).to(
            dtype
        )
        wanted.append(tensor.clone())
        kept.append(tensor)
        tensor.zero_()
    assert len(kept) == len(wanted)
    assert all(torch.equal(kept[i], tensor) for i, tensor in enumerate(wanted))
    offsets = {kept[i].storage_offset() % slabs.ALIGNMENT for i in range(len(kept))}
    assert offsets == {0}


def test_blocks_are_few() -> None:
    kept = Slabs()
    for _ in range(3000):
        kept.append(torch.ones(16, 16))
    assert len({kept[i].untyped_storage().data_ptr() for i in range(3000)}) <= 5


def test_joined() -> None:
    kept = Slabs()
    assert kept.joined().shape == (0,)
    kept.append(torch.arange(3))
    kept.append(torch.arange(2))
    assert kept.joined().tolist() == [0, 1, 2, 0, 1]


def test_one_dtype() -> None:
    kept = Slabs()
    kept.append(torch.zeros(2))
    with pytest.raises(ValueError, match=r"float16 after tensors of torch\.float32"):
        kept.append(torch.zeros(2).half())


def test_inference_mode_may_come_and_go() -> None:
    kept = Slabs()
    for _ in range(2):
        with torch.inference_mode():
            kept.append(torch.ones(2))
        kept.append(torch.ones(2, requires_grad=True))
    assert kept.joined().tolist() == [1] * 8
    assert not kept.joined().requires_grad
