"""Tensors as bytes, bit by bit, with a checksum beside them."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor


def packed(tensor: Tensor) -> bytes:
    """The numbers of a tensor in the order of its indices."""
    flat = tensor.detach().cpu().contiguous().view(-1)
    data: bytes = flat.view(torch.uint8).numpy().tobytes()
    return data


def unpacked(data: object, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """A tensor of its own from what `packed` made.

    Raises:
        ValueError: there are more or fewer bytes than the shape takes, or no bytes at all.
    """
    found = length(data)
    if not isinstance(data, bytes) or found != dtype.itemsize * torch.Size(shape).numel():
        raise ValueError(f"{found} bytes for {tuple(shape)} of {dtype}")
    if not data:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).view(shape)


def length(data: object) -> int | None:
    """How many bytes; None where it is none: to SQLite a changed bit may make text of bytes."""
    return len(data) if isinstance(data, bytes) else None


def checksum(*parts: object) -> int:
    """CRC-32 of some bytes, one after the other: it finds what a disk or a copy has changed.

    Where a part is no bytes it is -1, which is that of nothing.
    """
    value = 0
    for part in parts:
        if not isinstance(part, bytes):
            return -1
        value = zlib.crc32(part, value)
    return value
