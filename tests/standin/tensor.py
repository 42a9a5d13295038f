"""A tensor that says that it is on the stand-in GPU, and what every operation on it does.

PyTorch lets a program name one device type of its own ("PrivateUse1") and implement it in Python.
`StandInTensor` wraps a CPU tensor, and every operation on it ends up in `operate`, below autograd.
`Factories` catches the operations that have no tensor to go by, such as
`torch.zeros(3, device="pgpu")`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.standin.counts import note_copy, note_launches, note_wait, place
from tests.standin.launches import launches_of
from tests.standin.waits import INDEXING, copies_to_host, waits_for_device

NAME = "pgpu"
COPYING = ("aten::copy_", "aten::_to_copy")


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
        return operate(func, args, kwargs or {})

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
            f"tensor to host memory first (at {place()})"
        )

    __array__ = numpy

    def tolist(self) -> Any:
        note_wait("tolist")
        return self.held.tolist()

    def __setitem__(self, index: Any, value: Any) -> None:
        # With a number for a value CUDA need not know how many elements a mask selects.
        mask = isinstance(index, StandInTensor) and index.dtype == torch.bool
        if mask and not isinstance(value, Tensor) and index.dim() <= self.dim():
            self.masked_fill_(index[(...,) + (None,) * (self.dim() - index.dim())], value)
        else:
            super().__setitem__(index, value)

    def resize_as_(self, other: Tensor, **_: Any) -> Tensor:
        # A wrapper's shape is fixed. FastReID's triplet loss writes `x.new().resize_as_(x)`, where
        # a new tensor does as well.
        if self.numel():
            raise NotImplementedError(f"the stand-in cannot change a tensor's shape (at {place()})")
        return torch.empty_like(other, dtype=self.dtype)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A file holds the values, which are read again as from `map_location="cpu"`.
        note_wait("pickle")
        return self.held.__reduce_ex__(protocol)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{self.held!r} on {NAME}:0"


def operate(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do an operation as a GPU would: refuse, count, compute on the CPU, label the results."""
    name = func.name().split(".")[0]
    tensors = [leaf for leaf in _leaves((args, kwargs)) if isinstance(leaf, Tensor)]
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
        note_copy(name)
    if name.startswith("c10d::"):
        raise RuntimeError(f"{name} of tensors on {NAME}:0, which gloo cannot send (at {place()})")
    to_host = copies_to_host(name, args, wanted, StandInTensor)
    if to_host or (here and waits_for_device(name, func, args, kwargs, StandInTensor)):
        note_wait(name)
    to_device = name in COPYING and len(here) < len(tensors) and not to_host
    if to_device and not kwargs.get("non_blocking", name == "aten::copy_" and args[2:] == (True,)):
        note_copy(name)
    if not to_host and not to_device:
        note_launches(name, launches_of(name, func, args, kwargs))

    results = func(*_mapped(_held, args), **_mapped(_held, kwargs))
    if to_host or (wanted is not None and wanted != NAME):
        return results
    # An operation in place returns its input, and so must this.
    labelled = {id(tensor.held): tensor for tensor in here}
    return _mapped(lambda result: _labelled(result, labelled), results)


def _leaves(nested: Any) -> Iterator[Any]:
    """What lies in tuples, lists and dictionaries within each other, as arguments do."""
    if isinstance(nested, (tuple, list, dict)):
        for part in nested.values() if isinstance(nested, dict) else nested:
            yield from _leaves(part)
    else:
        yield nested


def _mapped(function: Callable[[Any], Any], nested: Any) -> Any:
    """The same with every leaf replaced. PyTorch's own takes most of the time of a small test."""
    if isinstance(nested, (tuple, list)):
        return type(nested)([_mapped(function, part) for part in nested])
    if isinstance(nested, dict):
        return {key: _mapped(function, part) for key, part in nested.items()}
    return function(nested)


def _refuse_mixture(name: str, args: Any, here: list[Any], on_cpu: list[Tensor]) -> None:
    """Raise unless the CPU tensors are nothing but the indices of a tensor on the device."""
    if name in INDEXING and isinstance(args[0], StandInTensor):
        value = args[2] if len(args) > 2 else None
        if value is None or isinstance(value, StandInTensor) or value.dim() == 0:
            return
    raise RuntimeError(
        f"Expected all tensors to be on the same device, but {name} at {place()} got "
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
        raise NotImplementedError(f"the stand-in cannot change a tensor's shape (at {place()})")
    return tensor


class Factories(TorchDispatchMode):
    """Makes tensors on the stand-in where no argument is one."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if _is_composed(func):
            # In inference mode an operation that is made of others comes in whole.
            with self:
                return func.decompose(*args, **(kwargs or {}))
        return operate(func, args, kwargs or {})


@functools.cache
def _is_composed(func: Any) -> bool:
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), composite)


class Literals(TorchFunctionMode):
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
