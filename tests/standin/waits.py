"""After which operations the host waits for a GPU: what `torch.cuda.set_sync_debug_mode` reports.

The host runs ahead of the device, and waits where it must know a value: to read it, to allocate as
many elements as a mask selects, or to see whether a factorisation failed.
"""

from __future__ import annotations

from typing import Any

import torch

ALWAYS = {
    "aten::_local_scalar_dense",  # .item(), float(), bool(), if
    "aten::equal",
    # The size of the result depends on values.
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::bincount",
    # Whether it failed: cholesky, solve, inv and others that raise end in the first of these;
    # cholesky_ex and its like wait only if asked to check.
    "aten::_linalg_check_errors",
    "aten::_linalg_eigh",
    "aten::_linalg_svd",
    "aten::linalg_eig",
    "aten::linalg_lstsq",
}
INDEXING = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")


def copies_to_host(name: str, args: Any, wanted: str | None, on_device: type) -> bool:
    """Whether an operation copies from the device to the CPU.

    Args:
        name: of the operation.
        args: its arguments.
        wanted: type of the device that it names as its result's, if it names one.
        on_device: class of the device's tensors.
    """
    if name == "aten::_to_copy":
        return isinstance(args[0], on_device) and wanted == "cpu"
    if name == "aten::copy_":
        return isinstance(args[1], on_device) and not isinstance(args[0], on_device)
    return False


def waits_for_device(
    name: str, func: Any, args: Any, kwargs: dict[str, Any], on_device: type
) -> bool:
    """Whether an operation on tensors of the device makes the host wait."""
    if name in ALWAYS:
        return True
    if name in INDEXING:
        return any(isinstance(i, on_device) and i.dtype == torch.bool for i in args[1])
    if name == "aten::repeat_interleave":
        return isinstance(args[0], on_device) and kwargs.get("output_size") is None
    names = [argument.name for argument in func._schema.arguments]
    if "check_errors" in names:
        given = {**dict(zip(names, args)), **kwargs}
        return bool(given.get("check_errors"))
    return False
