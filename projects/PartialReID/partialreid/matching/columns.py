"""The columns of many images, read block by block in the dtype of the arithmetic.

Shapes: B images of a block, C channels, N columns (the most of any image in the block).

An image with fewer columns than its block is filled up with zeros. A zero column adds nothing to
what a gallery image can reconstruct and weighs nothing in a query, so no distance changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class ColumnSource(Protocol):
    """Columns (C, N_b) of many images that are fetched one image at a time, wherever they lie.

    Attributes:
        counts: N_b of every image.
        channels: C; None without any image.
        dtype: of the columns as they are stored.
        device: where a fetched image is; "cuda" is the current GPU, as in torch.
    """

    channels: int | None
    dtype: torch.dtype
    device: torch.device

    @property
    def counts(self) -> Sequence[int]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, image: int) -> Tensor: ...


class NotFiniteError(ValueError):
    """Columns that hold an infinity or NaN."""


def indexed(device: torch.device | str) -> torch.device:
    """A device as tensors on it name theirs: "cuda" is "cuda:0" then, and they compare as equal."""
    return torch.empty(0, device=device).device


# Several threads may ask at once, and a source that reads a file has one place in it. Parts of one
# source are sources too, so that all share one lock.
_FETCHING = Lock()

Columns: TypeAlias = "Tensor | Sequence[Tensor] | ColumnSource"
"""A stack (B, C, N), or one tensor (C, N_b) per image where their sizes differ."""


class ColumnBlocks:
    """A stack or ragged list of columns with one way to read it.

    Args:
        columns: (B, C, N), or a sequence of (C, N_b).
        name: what error messages call the columns ("query", "gallery").

    Raises:
        ValueError: a wrong number of dimensions, columns that are no floating-point numbers, or
            images that disagree in channels, dtype or device.
    """

    def __init__(self, columns: Columns, name: str) -> None:
        self.name = name
        self._columns = columns
        if isinstance(columns, ColumnSource) and not isinstance(columns, Tensor):
            self.channels: int | None = columns.channels
            self.counts = list(columns.counts)
            self._set_types(columns.dtype, columns.device)
            return
        if isinstance(columns, Tensor):
            if columns.dim() != 3:
                shape = tuple(columns.shape)
                raise ValueError(f"{name} columns must be (images, C, N), got {shape}")
            first: Tensor | None = columns
            self.channels = columns.shape[1]
            self.counts = [columns.shape[2]] * columns.shape[0]
        else:
            first = columns[0] if len(columns) else None
            for image in columns:
                self._check_image(image, columns[0])
            self.channels = columns[0].shape[0] if len(columns) else None
            self.counts = [image.shape[1] for image in columns]
        if first is None:
            self._set_types(torch.float32, torch.device("cpu"))
        else:
            self._set_types(first.dtype, first.device)

    def _set_types(self, dtype: torch.dtype, device: torch.device) -> None:
        if not dtype.is_floating_point:
            raise ValueError(f"{self.name} columns must be floating point, got {dtype}")
        self.device, self.stored = indexed(device), dtype
        # Half-precision columns are only storage: the arithmetic needs float32.
        self.dtype = torch.float64 if dtype == torch.float64 else torch.float32

    def _check_image(self, image: Tensor, first: Tensor) -> None:
        if image.dim() != 2 or image.shape[0] != first.shape[0]:
            raise ValueError(
                f"a list of {self.name} columns must hold (C, N) tensors of one C, "
                f"got {tuple(first.shape)} and {tuple(image.shape)}"
            )
        if image.dtype != first.dtype or image.device != first.device:
            raise ValueError(
                f"a list of {self.name} columns must share one dtype and device, got "
                f"{first.dtype} on {first.device} and {image.dtype} on {image.device}"
            )

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def widest(self) -> int:
        """The largest number of columns of any image."""
        return max(self.counts, default=0)

    def by_size(self) -> list[int]:
        """All images, equal sizes side by side, so that blocks need little padding."""
        return sorted(range(len(self)), key=self.counts.__getitem__)

    def _fetched(self, image: int) -> Tensor:
        """The columns (C, N_b) of one image."""
        if isinstance(self._columns, Tensor):
            return self._columns[image]
        with _FETCHING:
            return self._columns[image]

    def stack(self, images: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Read images as one (B, C, N) tensor; a view of the columns themselves where it can."""
        if isinstance(self._columns, Tensor):
            whole = self._columns
            start, stop = images[0], images[-1] + 1
            if list(images) == list(range(start, stop)):
                return whole[start:stop].to(dtype)
            return whole[torch.as_tensor(images, device=self.device)].to(dtype)
        wide = max(self.counts[image] for image in images)
        if min(self.counts[image] for image in images) == wide:
            # A GPU copies many images in one kernel; one after the other it waits for the host.
            return torch.stack([self._fetched(image) for image in images]).to(dtype)
        stack = torch.zeros(len(images), self.channels or 0, wide, dtype=dtype, device=self.device)
        for target, image in zip(stack, images):
            target[:, : self.counts[image]] = self._fetched(image)
        return stack

    def side_by_side(self, images: Sequence[int], out: Tensor) -> Tensor:
        """Read images into `out` (C, B, N), which makes a matrix of their columns when flat."""
        # An image's columns stay adjacent in every channel, which makes this nearly a memory
        # copy, where a transposition to one column per row takes several times as long.
        blocks = [self._fetched(image) for image in images]
        if all(block.shape[1] == out.shape[2] for block in blocks):
            flat = out.view(out.shape[0], -1)
            if self.stored == out.dtype:
                torch.cat(blocks, dim=1, out=flat)
            else:
                # Converted all together: half the time of one after the other.
                flat.copy_(torch.cat(blocks, dim=1))
            return out
        for place, block in enumerate(blocks):
            out[:, place, : block.shape[1]] = block
            out[:, place, block.shape[1] :] = 0
        return out

    def pick(self, images: Tensor, numbers: Tensor, dtype: torch.dtype) -> Tensor:
        """Read single columns (C, F): column `numbers` (F,) of each of `images` (F,)."""
        if isinstance(self._columns, Tensor):
            return self._columns[images.to(self.device), :, numbers.to(self.device)].to(dtype).T
        picked = torch.empty(self.channels or 0, len(images), dtype=dtype, device=self.device)
        # An image may have to be fetched from a file: once for all that is wanted of it.
        for image in images.unique().tolist():
            where = (images == image).nonzero().flatten()
            columns = self._fetched(image)[:, numbers[where].to(self.device)]
            picked[:, where.to(self.device)] = columns.to(dtype)
        return picked

    def squared_norms(self, dtype: torch.dtype) -> Tensor:
        """Squared length of every column, (images, N) with zeros where an image has fewer.

        Raises:
            NotFiniteError: a column holds an infinity or NaN.
        """
        norms = torch.zeros(len(self), self.widest, dtype=dtype, device=self.device)
        for image, count in enumerate(self.counts):
            norms[image, :count] = self._fetched(image).to(dtype).square().sum(0)
        self.require_finite(norms)
        return norms

    def require_finite(self, values: Tensor, images: Sequence[int] | None = None) -> None:
        """Raise NotFiniteError where `values` (B, ...) of some images are infinite or NaN."""
        # One list, as the host waits for a GPU at each that it asks for.
        fine = values.flatten(1).isfinite().all(1).tolist()
        if not all(fine):
            bad = fine.index(False)
            first = bad if images is None else images[bad]
            raise NotFiniteError(
                f"{self.name} columns of image {first} hold an infinity, NaN or numbers too large "
                "to square; normalise the columns, and store them in bfloat16 or float32 if "
                "float16 overflowed"
            )


def check_fit(query: ColumnBlocks, gallery: ColumnBlocks) -> torch.dtype:
    """Return the dtype of distances between two sets of columns.

    Raises:
        ValueError: the sets differ in channels or device.
    """
    if len(query) and len(gallery):
        if query.channels != gallery.channels:
            raise ValueError(f"channels differ: query {query.channels}, gallery {gallery.channels}")
        if query.device != gallery.device:
            raise ValueError(f"devices differ: query {query.device}, gallery {gallery.device}")
    return torch.promote_types(query.dtype, gallery.dtype)


def padded_weights(
    weights: Tensor | Sequence[Tensor] | None, query: ColumnBlocks, dtype: torch.dtype
) -> Tensor:
    """Weights of all query columns as (Q, N) with zeros where an image has fewer columns.

    Args:
        weights: (Q, N) or Q tensors (N_q,); None weighs the columns of each image by 1 / N_q.
        query: the columns to weigh.

    Raises:
        ValueError: the weights do not fit the columns.
    """
    padded = torch.zeros(len(query), query.widest, dtype=dtype, device=query.device)
    if weights is None:
        for row, count in zip(padded, query.counts):
            row[:count] = 1 / max(count, 1)
        return padded
    if len(weights) != len(query):
        raise ValueError(f"{len(weights)} rows of weights for {len(query)} queries")
    for image, (count, given) in enumerate(zip(query.counts, weights)):
        if given.shape != (count,):
            raise ValueError(
                f"query {image} has {count} columns but weights of shape {tuple(given.shape)}"
            )
        padded[image, :count] = given
    return padded
