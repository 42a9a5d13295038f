"""A stand-in for a GPU, so that a machine without one finds the faults that only a GPU shows.

Its tensors say that they are on the device `pgpu:0`, a pretended GPU. They hold CPU tensors and
compute with them, so that every result is the CPU's. Where a GPU differs, they do as CUDA does:

- An operation on tensors of both devices is refused (0-dimensional CPU tensors may join in, and
  CPU indices may index a GPU tensor).
- `.numpy()` is refused; so are CPU-only ways of communication.
- `torch.device("pgpu")` is not `torch.device("pgpu", 0)`, which tensors have.
- Operations after which the host waits for the device are counted, with their place in the code.

    with standin_gpu() as gpu:
        weights = torch.randn(3, device=gpu.device)
        with gpu.count() as seen:
            weights.sum().item()
        assert seen.synchronisations == 1, seen

PyTorch lets a program name one device type of its own ("PrivateUse1") and implement it in Python.
`StandInTensor` is such a tensor: it wraps a CPU tensor, and every operation on it ends up in
`_operate`, below autograd. `_Factories` catches the operations that have no tensor to go by, such
as `torch.zeros(3, device="pgpu")`.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from .standin_autocast import register_autocast
from .standin_waits import INDEXING, copies_to_host, waits_for_device

NAME = "pgpu"
COPYING = ("aten::copy_", "aten::_to_copy")


class Counts:
    """What happened on the stand-in: how often the host waited, by operation and place.

    Attributes:
        waits: times that the host read from the device, or had to know a size that depends on
            values there, by (operation, "file.py:line").
        copies: copies from the host to the device, likewise. CUDA waits for each of them too,
            unless it is asked for with `non_blocking`; those are not counted.
    """

    def __init__(self) -> None:
        self.waits: Counter[tuple[str, str]] = Counter()
        self.copies: Counter[tuple[str, str]] = Counter()

    @property
    def synchronisations(self) -> int:
        """How often the host waited for a result."""
        return sum(self.waits.values())

    @property
    def transfers(self) -> int:
        """How often the host sent something to the device."""
        return sum(self.copies.values())

    def __repr__(self) -> str:
        lines = [f"{self.synchronisations} synchronisations, {self.transfers} transfers"]
        for kind in (self.waits, self.copies):
            lines += [f"  {n:5d} {name} at {place}" for (name, place), n in kind.most_common()]
        return "\n".join(lines)


class StandInGpu(Counts):
    """The device, and everything counted on it since it was switched on."""

    name = NAME

    def __init__(self) -> None:
        super().__init__()
        self._watching: list[Counts] = [self]

    @property
    def device(self) -> torch.device:
        """The device as its tensors name it; `torch.device(gpu.name)` is the one without index."""
        return torch.device(NAME, 0)

    @contextlib.contextmanager
    def count(self) -> Iterator[Counts]:
        """Count what happens in a block of code."""
        counts = Counts()
        self._watching.append(counts)
        try:
            yield counts
        finally:
            self._watching.remove(counts)

    def note_wait(self, operation: str) -> None:
        for counts in self._watching:
            counts.waits[operation, _place()] += 1

    def note_copy(self, operation: str) -> None:
        for counts in self._watching:
            counts.copies[operation, _place()] += 1


# The device that is switched on; there is one at most.
_active: StandInGpu | None = None


class StandInTensor(Tensor):
    """A tensor on the stand-in; `held` is the CPU tensor with its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> StandInTensor:
        tensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=torch.device(NAME, 0),
        )
        tensor.held = held
        return tensor

    # Nothing is to be done above autograd.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _operate(func, args, kwargs or {})

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
            f"tensor to host memory first (at {_place()})"
        )

    __array__ = numpy

    def tolist(self) -> Any:
        _gpu().note_wait("tolist")
        return self.held.tolist()

    def __setitem__(self, index: Any, value: Any) -> None:
        # With a number for a value CUDA need not know how many elements a mask selects.
        mask = isinstance(index, StandInTensor) and index.dtype == torch.bool
        if mask and not isinstance(value, Tensor) and index.dim() <= self.dim():
            self.masked_fill_(index[(...,) + (None,) * (self.dim() - index.dim())], value)
        else:
            super().__setitem__(index, value)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A file holds the values, which are read again as from `map_location="cpu"`.
        _gpu().note_wait("pickle")
        return self.held.__reduce_ex__(protocol)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{self.held!r} on {NAME}:0"


def _operate(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do an operation as a GPU would: refuse, count, compute on the CPU, label the results."""
    name = func.name().split(".")[0]
    tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
    here = [tensor for tensor in tensors if isinstance(tensor, StandInTensor)]
    wanted = None
    if kwargs.get("device") is not None:
        wanted = torch.device(kwargs["device"]).type
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if not here and wanted != NAME:
        return func(*args, **kwargs)  # the CPU's own affair
    if kwargs.get("pin_memory"):
        kwargs = {**kwargs, "pin_memory": False}
    on_cpu = [t for t in tensors if not isinstance(t, StandInTensor) and t.dim() > 0]
    if here and on_cpu and name not in COPYING:
        _refuse_mixture(name, args, here, on_cpu)
        _gpu().note_copy(name)
    if name.startswith("c10d::"):
        raise RuntimeError(f"{name} of tensors on {NAME}:0, which gloo cannot send (at {_place()})")
    to_host = copies_to_host(name, args, wanted, StandInTensor)
    if to_host or (here and waits_for_device(name, func, args, kwargs, StandInTensor)):
        _gpu().note_wait(name)
    to_device = name in COPYING and len(here) < len(tensors) and not to_host
    if to_device and not kwargs.get("non_blocking", name == "aten::copy_" and args[2:] == (True,)):
        _gpu().note_copy(name)

    results = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if to_host or (wanted is not None and wanted != NAME):
        return results
    # An operation in place returns its input, and so must this.
    labelled = {id(tensor.held): tensor for tensor in here}
    return tree_map(lambda result: _labelled(result, labelled), results)


def _refuse_mixture(name: str, args: Any, here: list[Any], on_cpu: list[Tensor]) -> None:
    """Raise unless the CPU tensors are nothing but the indices of a tensor on the device."""
    if name in INDEXING and isinstance(args[0], StandInTensor):
        value = args[2] if len(args) > 2 else None
        if value is None or isinstance(value, StandInTensor) or value.dim() == 0:
            return
    raise RuntimeError(
        f"Expected all tensors to be on the same device, but {name} at {_place()} got "
        f"{[tuple(t.shape) for t in here]} on {NAME}:0 and {[tuple(t.shape) for t in on_cpu]} "
        "on cpu"
    )


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, StandInTensor) else leaf


def _labelled(result: Any, labelled: dict[int, StandInTensor]) -> Any:
    if not isinstance(result, Tensor):
        return result
    tensor = labelled.get(id(result))
    if tensor is None:
        return StandInTensor(result)
    if tensor.shape != result.shape:
        raise NotImplementedError(f"the stand-in cannot change a tensor's shape (at {_place()})")
    return tensor


def _place() -> str:
    """The innermost line of the package or of FastReID, else of whoever called torch."""
    frame, outside = sys._getframe(1), ""
    while frame is not None:
        file = frame.f_code.co_filename.replace("\\", "/")
        line = f"{file.rsplit('/', 1)[-1]}:{frame.f_lineno}"
        if "/partialreid/" in file or "/fastreid/" in file:
            return line
        if not outside and "/torch/" not in file and "/tests/standin_" not in file:
            outside = line
        frame = frame.f_back
    return outside


class _Factories(TorchDispatchMode):
    """Makes tensors on the stand-in where no argument is one."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _operate(func, args, kwargs or {})


class _Literals(TorchFunctionMode):
    """`torch.tensor([1, 2], device="pgpu")`, which PyTorch does without any operation."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        device = kwargs.get("device")
        if func is Tensor.new_tensor and device is None:
            device = args[0].device
        makes = func in (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)
        if not makes or device is None or torch.device(device).type != NAME:
            return func(*args, **kwargs)
        kwargs.pop("device", None)
        if func is Tensor.new_tensor:
            kwargs.setdefault("dtype", args[0].dtype)
            func, args = torch.tensor, args[1:]
        needs_grad = kwargs.pop("requires_grad", False)
        return func(*args, **kwargs).to(torch.device(NAME, 0)).requires_grad_(needs_grad)


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
        _gpu().note_wait("synchronize")

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


def _gpu() -> StandInGpu:
    if _active is None:
        raise RuntimeError(f"a tensor on {NAME}:0 outlived its device")
    return _active


@contextlib.contextmanager
def standin_gpu() -> Iterator[StandInGpu]:
    """Switch the stand-in on for a block of code.

    Raises:
        ImportError: this PyTorch is too old for it.
    """
    global _active
    _register()
    _active = StandInGpu()
    try:
        # Backward passes run in this thread: PyTorch starts threads for the devices that it knew
        # at the first of them, which may be before this one was registered.
        with torch.autograd.set_multithreading_enabled(False), _Literals(), _Factories():
            yield _active
    finally:
        _active = None
