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


def unpacked(data: bytes, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """A tensor of its own from what `packed` made.

    Raises:
        ValueError: there are more or fewer bytes than the shape takes.
    """
    if len(data) != dtype.itemsize * torch.Size(shape).numel():
        raise ValueError(f"{len(data)} bytes for {tuple(shape)} of {dtype}")
    if not data:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).view(shape)


def checksum(*parts: bytes) -> int:
    """CRC-32 of some bytes, one after the other: it finds what a disk or a copy has changed."""
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value
