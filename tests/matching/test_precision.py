"""Reduced precision is off while distances are computed, and back afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from partialreid.matching import lasso, reconstruction, residual_tiles
from partialreid.matching.precision import full_precision

cuda = torch.backends.cuda.matmul
mkldnn = getattr(torch.backends.mkldnn, "matmul", None)
per_backend = hasattr(cuda, "fp32_precision") and mkldnn is not None


def settings() -> tuple[str, ...]:
    try:
        legacy = torch.get_float32_matmul_precision()
    except RuntimeError:
        legacy = "in conflict"
    if not per_backend:
        return (legacy, str(cuda.allow_tf32))
    return (legacy, cuda.fp32_precision, mkldnn.fp32_precision)


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    before = settings()
    yield
    torch.set_float32_matmul_precision(before[0])
    if per_backend:
        cuda.fp32_precision, mkldnn.fp32_precision = before[1:]


def legacy_high() -> None:
    torch.set_float32_matmul_precision("high")


def legacy_medium() -> None:
    torch.set_float32_matmul_precision("medium")


def allow_tf32() -> None:
    cuda.allow_tf32 = True


def cuda_tf32() -> None:
    cuda.fp32_precision = "tf32"


def mkldnn_bf16() -> None:
    mkldnn.fp32_precision = "bf16"


SWITCHES = [legacy_high, legacy_medium, allow_tf32] + [cuda_tf32, mkldnn_bf16] * per_backend


def assert_full() -> None:
    if per_backend:
        assert (cuda.fp32_precision, mkldnn.fp32_precision) == ("ieee", "ieee")
    else:
        assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("switch", SWITCHES)
def test_settings_are_changed_and_restored(switch: Callable[[], None]) -> None:
    plain = settings()
    switch()
    before = settings()
    assert before != plain
    with full_precision():
        assert_full()
    assert settings() == before
    with pytest.raises(KeyError), full_precision():
        raise KeyError
    assert settings() == before


def test_nothing_set_stays_so() -> None:
    before = settings()
    with full_precision():
        assert_full()
    assert settings() == before


def test_autocast_is_off_inside() -> None:
    a = torch.rand(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
        with full_precision("cpu"):
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16


@pytest.mark.parametrize("switch", SWITCHES)
def test_distances_are_computed_so(
    switch: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []

    def watch(name: str, module: object, function: str) -> None:
        original = getattr(module, function)

        def watched(*args, **kwargs):
            assert_full()
            assert not torch.is_autocast_enabled("cpu")
            checked.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(module, function, watched)

    watch("ridge", residual_tiles, "gallery_projectors")
    watch("ridge", residual_tiles.torch, "mm")
    watch("lasso", lasso, "lasso_codes")
    switch()
    columns = torch.rand(3, 16, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reconstruction.reconstruction_distance(columns, columns)
        reconstruction.reconstruction_distance_topk(columns, columns, torch.tensor([[0], [2], [1]]))
        lasso.lasso_distance(columns, columns)
    assert checked.count("ridge") >= 4 and "lasso" in checked
