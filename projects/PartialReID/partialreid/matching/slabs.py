"""Many small tensors kept in a few large blocks of memory.

A tensor that is kept by itself lies between the temporary tensors of the batch that it came from.
When those are freed, the gaps between the kept ones are too narrow for the tensors of the next
batch: the process then grows with every batch, although nearly all of its memory is free. Blocks
are few, and of an image that lies in one, nothing is kept but three numbers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Bytes of the first block; each is twice as large as the one before, up to the last number.
FIRST_BLOCK, LARGEST_BLOCK = 2**18, 2**26
# Numbers: every tensor starts on a cache line, as one of its own would.
ALIGNMENT = 64


class Slabs:
    """A growing list of copies of tensors of one dtype.

    Args:
        device: where they are kept; None: where the first one lies.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self._device = device
        self._blocks: list[Tensor] = []
        self._used = 0  # numbers of the last block
        self._places: list[tuple[int, int, tuple[int, ...]]] = []

    def __len__(self) -> int:
        return len(self._places)

    @torch.no_grad()
    def append(self, tensor: Tensor) -> None:
        """Copy a tensor of any shape to the end of the list.

        Raises:
            ValueError: its dtype is not that of the tensors before.
        """
        numbers = tensor.numel()
        if self._blocks and self._blocks[-1].dtype != tensor.dtype:
            raise ValueError(
                f"a tensor of {tensor.dtype} after tensors of {self._blocks[-1].dtype}"
            )
        if not self._blocks or self._used + numbers > len(self._blocks[-1]):
            self._new_block(tensor)
        start = self._used
        # Views of the block are of its kind, whatever mode the caller is in.
        with torch.inference_mode(False), torch.no_grad():
            self._blocks[-1][start : start + numbers].view(tensor.shape).copy_(tensor)
        self._places.append((len(self._blocks) - 1, start, tuple(tensor.shape)))
        self._used = start + -(-numbers // ALIGNMENT) * ALIGNMENT

    def _new_block(self, tensor: Tensor) -> None:
        size = min(FIRST_BLOCK << len(self._blocks), LARGEST_BLOCK) // tensor.element_size()
        device = tensor.device if self._device is None else self._device
        # What is made in inference mode could not be written to outside of it.
        with torch.inference_mode(False):
            block = torch.empty(max(size, tensor.numel()), dtype=tensor.dtype, device=device)
        self._blocks.append(block)
        self._used = 0

    def __getitem__(self, index: int) -> Tensor:
        """One tensor of the list, a view of its block."""
        block, start, shape = self._places[index]
        return self._blocks[block][start : start + math.prod(shape)].view(shape)

    def joined(self) -> Tensor:
        """All tensors along their first dimension; an empty one where there is none."""
        return torch.cat([self[i] for i in range(len(self))]) if self._places else torch.empty(0)
