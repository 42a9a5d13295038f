"""Columns between extraction and matching: in memory up to a budget, the rest in a file.

Shapes: B images of a batch, C channels, N columns; N may differ from image to image.

The file is read piece by piece instead of being mapped: mapped pages stay resident for as long as
memory is free, and the peak would depend on the machine and not on the budget.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from io import FileIO

import torch
from torch import Tensor

from .column_parts import ColumnPart
from .columns import indexed
from .slabs import Slabs

# "No space left on device", a quota, the largest size of a file.
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)


class ColumnStore:
    """A growing list of (C, N_b) tensors of one dtype; see `columns.ColumnSource`.

    Args:
        memory_bytes: how much may lie in memory, on `device`; what comes later goes to the file.
        folder: where the file lies. It has no name there, so that it vanishes with the process,
            whatever ends that.
        device: of the columns in memory, and of every column that is fetched; None: where the
            first image lies that is added.

    Attributes:
        counts, channels, dtype, device: as in `columns.ColumnSource`.
        bytes_in_memory, bytes_in_file: what the columns take.
    """

    def __init__(
        self,
        memory_bytes: float,
        folder: str | os.PathLike[str],
        device: torch.device | str | None = None,
    ) -> None:
        self._wanted = device
        self.device = torch.device("cpu") if device is None else indexed(device)
        self.channels: int | None = None
        self.dtype = torch.float32
        self.counts: list[int] = []
        self.bytes_in_memory = self.bytes_in_file = 0
        self._memory_bytes = memory_bytes
        self._folder = os.fspath(folder)
        self._kept = Slabs()
        self._places: list[int] = []
        self._file: FileIO | None = None

    def __len__(self) -> int:
        return len(self.counts)

    def append(self, images: Tensor | Iterable[Tensor]) -> None:
        """Add a batch, (B, C, N) or (C, N_b) each.

        Raises:
            ValueError: channels or dtype differ from those before.
            OSError: the file cannot be written; the message names the folder and the keys to
                change. All columns are forgotten then.
        """
        for image in images:
            if self.channels is None:
                self.channels, self.dtype = image.shape[0], image.dtype
                if self._wanted is None:
                    self.device = image.device
                self._kept = Slabs(self.device)
            if image.shape[0] != self.channels or image.dtype != self.dtype:
                raise ValueError(
                    f"columns of {image.shape[0]} channels, {image.dtype}, after columns of "
                    f"{self.channels}, {self.dtype}"
                )
            size = image.numel() * image.element_size()
            # Once one image has gone to the file all others follow, so that order is kept.
            if self._file is None and self.bytes_in_memory + size <= self._memory_bytes:
                self._kept.append(image)
                self.bytes_in_memory += size
            else:
                self._write(image)
            self.counts.append(image.shape[1])

    def _write(self, image: Tensor) -> None:
        try:
            if self._file is None:
                # It stays open as long as the store.
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            self._places.append(self.bytes_in_file)
            self._file.seek(self.bytes_in_file)
            block = _bytes(image.detach().cpu().contiguous())
            while block:
                block = block[self._file.write(block) :]
        except OSError as error:
            self.close()
            more = ", TEST.DSR.STORAGE to float16 or raise TEST.DSR.MEMORY_GB"
            sentence = OSError(
                f'columns cannot be stored in "{self._folder}" after '
                f"{self.bytes_in_file / 1e9:.1f} GB ({error.strerror}): set OUTPUT_DIR to a folder "
                f"on another disk{more if error.errno in FULL else ''}"
            )
            sentence.errno = error.errno
            raise sentence from error
        self.bytes_in_file += image.numel() * image.element_size()

    def __getitem__(self, image: int) -> Tensor:
        """The columns (C, N_b) of one image: those in memory themselves, others read anew."""
        if not 0 <= image < len(self):
            raise IndexError(f"image {image} of {len(self)}")
        if image < len(self._kept):
            return self._kept[image]
        columns = torch.empty((self.channels or 0, self.counts[image]), dtype=self.dtype)
        block = _bytes(columns)
        assert self._file is not None, "what is not in memory is in the file"
        self._file.seek(self._places[image - len(self._kept)])
        while block:
            done = self._file.readinto(block)
            if not done:
                raise OSError(f'the columns in "{self._folder}" have been cut short')
            block = block[done:]
        return columns.to(self.device)

    def part(self, start: int, stop: int) -> ColumnPart:
        """The images from `start` up to `stop`, without a copy."""
        return ColumnPart(self, range(start, stop))

    def close(self) -> None:
        """Forget all columns and remove the file."""
        self.counts, self._kept, self._places = [], Slabs(), []
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> ColumnStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bytes(columns: Tensor) -> memoryview:
    """The memory of a contiguous tensor; numpy has no bfloat16."""
    return memoryview(columns.view(-1).view(torch.uint8).numpy().data)
