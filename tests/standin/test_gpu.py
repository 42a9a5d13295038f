"""The stand-in GPU: it refuses and counts what a GPU would, and computes what the CPU does."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

from tests.standin.gpu import StandInGpu


@pytest.fixture
def numbers() -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def test_tensors_say_where_they_are(standin: StandInGpu) -> None:
    made = [
        torch.zeros(3, device=standin.name),
        torch.tensor([1.0, 2.0], device=standin.device),
        torch.ones(2).to(standin.name),
        torch.zeros(2, device=standin.device).new_tensor([1.0]),
        torch.zeros_like(torch.ones(2), device=standin.device) + 1,
    ]
    for tensor in made:
        assert tensor.device == standin.device
        assert tensor.device != torch.device(standin.name)
        assert tensor.to(standin.name) is tensor
        assert tensor.cpu().device == torch.device("cpu")


def test_mixed_devices_are_refused(standin: StandInGpu, numbers: torch.Tensor) -> None:
    there = numbers.to(standin.device)
    for mixed in (
        lambda: there + numbers,
        lambda: numbers @ there.T,
        lambda: torch.cat([there, numbers]),
        lambda: numbers[torch.tensor([0], device=standin.device)],
        lambda: numbers + there.sum(),
        lambda: nn.Linear(3, 2)(there),
        lambda: there.index_add_(0, torch.tensor([1]), there[:1]),
        lambda: there.__setitem__(there > 0, numbers[numbers > 0]),
    ):
        with pytest.raises(RuntimeError, match="same device"):
            mixed()
    torch.testing.assert_close((there + torch.tensor(2.0)).cpu(), numbers + 2)


def test_numpy_is_refused(standin: StandInGpu, numbers: torch.Tensor) -> None:
    import numpy as np

    there = numbers.to(standin.device)
    for convert in (there.numpy, lambda: np.asarray(there), lambda: np.array(there)):
        with pytest.raises(TypeError, match="to numpy"):
            convert()
    assert np.array_equal(there.cpu().numpy(), numbers.numpy())


WAITING = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x[0, 0]),
    "if": lambda x: 1 if x[0, 0] > 0 else 0,
    "cpu": lambda x: x.cpu(),
    "copy_": lambda x: torch.zeros(4, 3).copy_(x),
    "tolist": lambda x: x.tolist(),
    "nonzero": lambda x: (x > 0).nonzero(),
    "mask": lambda x: x[x > 0],
    "mask set": lambda x: x.clone().__setitem__(x > 0, x[0, 0]),
    "masked_select": lambda x: x.masked_select(x > 0),
    "equal": lambda x: torch.equal(x, x),
    "unique": lambda x: x.unique(),
    "cholesky": lambda x: torch.linalg.cholesky(x.T @ x),
    "solve": lambda x: torch.linalg.solve(x.T @ x, x.T),
    "eigh": lambda x: torch.linalg.eigh(x.T @ x),
    "checked": lambda x: torch.linalg.cholesky_ex(x.T @ x, check_errors=True),
    "repeat_interleave": lambda x: x.repeat_interleave((x[:, 0] > 0).long(), dim=0),
    "pickle": lambda x: torch.save(x, io.BytesIO()),
}


@pytest.mark.parametrize("name", WAITING)
def test_the_host_waits(standin: StandInGpu, numbers: torch.Tensor, name: str) -> None:
    there = numbers.to(standin.device)
    with standin.count() as seen:
        WAITING[name](there)
    # The mask itself is copied to no-one; an index by a mask is one wait.
    assert (seen.synchronisations, seen.transfers) == (1, 0), seen
    assert all(place.startswith("test_gpu.py:") for _, place in seen.waits)


RUNNING_AHEAD = {
    "arithmetic": lambda x: (x * 2 + 1).exp().sum(),
    "cholesky_ex": lambda x: torch.linalg.cholesky_ex(x.T @ x),
    "triangular": lambda x: torch.linalg.solve_triangular(
        torch.linalg.cholesky_ex(x.T @ x).L, x.T, upper=False
    ),
    "indices": lambda x: x[(x[:, 0] > 0).long()],
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "masked number": lambda x: x.clone().__setitem__(x > 0, 0.0),
    "slice": lambda x: x.clone()[1:].copy_(x[:3]),
    "sort": lambda x: x.sort(dim=1).values.topk(2).indices,
    "pairs": lambda x: x.repeat_interleave(2, dim=0),
    "factory": lambda x: torch.arange(3, device=x.device) + x.new_zeros(3),
}


@pytest.mark.parametrize("name", RUNNING_AHEAD)
def test_the_host_runs_ahead(standin: StandInGpu, numbers: torch.Tensor, name: str) -> None:
    there = numbers.to(standin.device)
    with standin.count() as seen:
        RUNNING_AHEAD[name](there)
    assert (seen.synchronisations, seen.transfers) == (0, 0), seen


SENDING = {
    "to": lambda x, device: x.to(device),
    "tensor": lambda x, device: torch.tensor([1, 2], device=device),
    "as_tensor": lambda x, device: torch.as_tensor([1, 2], device=device),
    "copy_": lambda x, device: torch.zeros(4, 3, device=device).copy_(x),
    "setitem": lambda x, device: torch.zeros(4, 3, device=device).__setitem__(0, x[0]),
    "indices": lambda x, device: torch.zeros(4, device=device)[torch.tensor([0])],
}


@pytest.mark.parametrize("name", SENDING)
def test_what_is_sent_is_counted(standin: StandInGpu, numbers: torch.Tensor, name: str) -> None:
    with standin.count() as seen:
        SENDING[name](numbers, standin.device)
    assert (seen.synchronisations, seen.transfers) == (0, 1), seen
    with standin.count() as seen:
        numbers.to(standin.device, non_blocking=True)
        torch.zeros(4, 3, device=standin.device).copy_(numbers, non_blocking=True)
    assert seen.transfers == 0


# How many kernels the host starts, and by what.
STARTED = {
    "arithmetic": (3, lambda x: (x * 2 + 1).sum()),
    "views": (0, lambda x: x[1:, None].transpose(0, 2).reshape(3, 3).T),
    "reshaped copy": (1, lambda x: x.T.reshape(-1)),
    "in place": (2, lambda x: x.clone().sqrt_()),
    "without numbers": (0, lambda x: x.new_empty(3)),
    "nothing copied": (1, lambda x: x.clone()[:, 3:].copy_(x[:, 3:])),
    "read": (1, lambda x: x.sum().item()),
    "sent back": (0, lambda x: x.cpu()),
    "side by side": (1, lambda x: torch.cat([x] * 100)),
    "too many for one": (3, lambda x: torch.stack([x] * 300)),
    "side by side, not contiguous": (4, lambda x: torch.cat([x.T] * 4)),
    "side by side in another dtype": (
        4,
        lambda x: torch.cat([x] * 4, out=x.new_empty(16, 3, dtype=torch.float64)),
    ),
}


@pytest.mark.parametrize("name", STARTED)
def test_launches_are_counted(standin: StandInGpu, numbers: torch.Tensor, name: str) -> None:
    there = numbers.to(standin.device)
    expected, work = STARTED[name]
    with standin.count() as seen:
        work(there)
    assert seen.launches == expected, seen


def test_counts_nest_and_end(standin: StandInGpu, numbers: torch.Tensor) -> None:
    there = numbers.to(standin.device)
    with standin.count() as outer:
        there.sum().item()
        with standin.count() as inner:
            there.cpu()
    there.tolist()
    assert (outer.synchronisations, inner.synchronisations) == (2, 1)
    assert (standin.synchronisations, standin.transfers) == (3, 1)
    assert "aten::_local_scalar_dense at test_gpu.py:" in repr(outer)


@pytest.mark.parametrize("name", [*WAITING, *RUNNING_AHEAD])
def test_values_are_those_of_the_cpu(standin: StandInGpu, numbers: torch.Tensor, name: str) -> None:
    operate = {**WAITING, **RUNNING_AHEAD}[name]
    expected, got = operate(numbers), operate(numbers.to(standin.device))
    if not isinstance(expected, tuple):
        expected, got = (expected,), (got,)
    for one, other in zip(expected, got, strict=True):
        if isinstance(one, torch.Tensor):
            assert torch.equal(one, other.cpu())
        else:
            assert one == other


# PyTorch does not save tensors of inference mode.
@pytest.mark.parametrize("name", [*sorted(WAITING.keys() - {"pickle"}), *RUNNING_AHEAD])
def test_inference_mode_counts_alike(standin: StandInGpu, numbers: torch.Tensor, name: str) -> None:
    with torch.inference_mode():
        there = numbers.to(device=standin.name, dtype=torch.float32, non_blocking=True)
        with standin.count() as seen:
            {**WAITING, **RUNNING_AHEAD}[name](there)
    assert (seen.synchronisations, seen.transfers) == (int(name in WAITING), 0), seen


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
    )


@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.Adam])
def test_training_is_that_of_the_cpu(standin: StandInGpu, optimiser: type) -> None:
    images = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    weights = []
    for device in (torch.device("cpu"), standin.device):
        model = _network().to(device)
        step = optimiser(model.parameters(), lr=0.1)
        given, wanted = images.to(device), labels.to(device)
        with standin.count() as seen:
            for _ in range(3):
                step.zero_grad()
                nn.functional.cross_entropy(model(given), wanted).backward()
                step.step()
        assert seen.synchronisations == 0, seen
        weights.append(copy.deepcopy(model).state_dict())
    for name, expected in weights[0].items():
        assert weights[1][name].device == standin.device
        torch.testing.assert_close(weights[1][name].cpu(), expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_casts(standin: StandInGpu, numbers: torch.Tensor, dtype: torch.dtype) -> None:
    there = numbers.to(standin.device)
    layer = nn.Linear(3, 2).to(standin.device)
    with torch.autocast(standin.name, dtype=dtype):
        product = layer(there)
        assert product.dtype == (there @ there.T).dtype == dtype
        assert product.exp().dtype == product.sum(1).dtype == torch.float32
        assert product.softmax(1).dtype == product.pow(2).dtype == torch.float32
        assert product.relu().dtype == dtype
        assert (there.double() @ there.double().T).dtype == torch.float64
        loss = product.float().square().mean()
    loss.backward()
    assert layer.weight.grad.dtype == torch.float32
    assert layer(there).dtype == torch.float32


def test_saved_tensors_are_read_on_the_cpu(standin: StandInGpu, numbers: torch.Tensor) -> None:
    file = io.BytesIO()
    torch.save({"x": numbers.to(standin.device)}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)["x"]
    assert torch.equal(loaded, numbers)
    assert loaded.device == torch.device("cpu")
