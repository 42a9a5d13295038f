"""A stand-in for a GPU, so that a machine without one finds the faults that only a GPU shows.

Its tensors say that they are on the device `pgpu:0`, a pretended GPU. They hold CPU tensors and
compute with them, so that every result is the CPU's. Where a GPU differs, they do as CUDA does:

- An operation on tensors of both devices is refused (0-dimensional CPU tensors may join in, and
  CPU indices may index a GPU tensor).
- `.numpy()` is refused; so are CPU-only ways of communication.
- `torch.device("pgpu")` is not `torch.device("pgpu", 0)`, which tensors have.
- Operations after which the host waits for the device are counted, with their place in the code;
  and so are the kernels that it starts, at least.

    with standin_gpu() as gpu:
        weights = torch.randn(3, device=gpu.device)
        with gpu.count() as seen:
            weights.sum().item()
        assert seen.synchronisations == 1, seen
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from tests.standin.autocast import register_autocast
from tests.standin.counts import Counts, note_wait, watching
from tests.standin.tensor import NAME, Factories, Literals


class StandInGpu(Counts):
    """The device, and everything counted on it since it was switched on."""

    name = NAME

    @property
    def device(self) -> torch.device:
        """The device as its tensors name it; `torch.device(gpu.name)` is the one without index."""
        return torch.device(NAME, 0)

    @contextlib.contextmanager
    def count(self) -> Iterator[Counts]:
        """Count what happens in a block of code."""
        counts = Counts()
        watching.append(counts)
        try:
            yield counts
        finally:
            watching.remove(counts)


# The device that is switched on; there is one at most.
_active: StandInGpu | None = None


class _Module:
    """What PyTorch looks up under `torch.pgpu`."""

    def is_available(self) -> bool:
        return _active is not None

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def synchronize(self, device: Any = None) -> None:
        note_wait("synchronize")

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        return 8_000_000_000, 10_000_000_000

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def manual_seed_all(self, seed: int) -> None:
        """Nothing: random numbers are the CPU's."""

    def _is_in_bad_fork(self) -> bool:
        return False


def _register() -> None:
    """Tell PyTorch of the device, once in a process.

    Raises:
        ImportError: this PyTorch has no devices in Python yet.
    """
    if hasattr(torch, NAME):
        return
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend as setup

    class Hooks(torch._C._acc.PrivateUse1Hooks):
        def is_available(self) -> bool:
            return _active is not None

        def has_primary_context(self, device: int) -> bool:
            return True

        def is_built(self) -> bool:
            return True

    setup(NAME, backend_module=_Module(), hook=Hooks())
    register_autocast(NAME)


@contextlib.contextmanager
def standin_gpu() -> Iterator[StandInGpu]:
    """Switch the stand-in on for a block of code.

    Raises:
        ImportError: this PyTorch is too old for it.
    """
    global _active
    _register()
    _active = StandInGpu()
    watching.append(_active)
    try:
        # Backward passes run in this thread: PyTorch starts threads for the devices that it knew
        # at the first of them, which may be before this one was registered.
        with torch.autograd.set_multithreading_enabled(False), Literals(), Factories():
            yield _active
    finally:
        watching.remove(_active)
        _active = None
