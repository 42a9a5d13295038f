"""Random numbers for drawings, from any source: one of numpy's generators, or a hash of a name."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Protocol, TypeVar, overload

import numpy as np

T = TypeVar("T")
Size = int | tuple[int, ...]


class Rng(Protocol):
    """What a source of randomness must offer: `numpy.random.Generator` does."""

    @overload
    def random(self) -> float:
        """One number in [0, 1)."""

    @overload
    def random(self, size: Size) -> np.ndarray:
        """An array of such numbers."""


class HashRng:
    """Random numbers that are the bits of a hash of a key, and of nothing else.

    Neither the order in which images come nor the version of a generator changes them.

    Args:
        key: what the numbers depend on, such as a seed and a file name.
    """

    def __init__(self, *key: object) -> None:
        self._key = "".join(f"{len(str(part))}:{part}" for part in key).encode()
        self._calls = 0

    @overload
    def random(self) -> float: ...

    @overload
    def random(self, size: Size) -> np.ndarray: ...

    def random(self, size: Size | None = None) -> float | np.ndarray:
        """Numbers in [0, 1): one float, or a float64 array of the size."""
        shape = () if size is None else tuple(np.atleast_1d(size).tolist())
        count = math.prod(shape)
        block = hashlib.shake_256(self._calls.to_bytes(8, "big") + self._key).digest(8 * count)
        self._calls += 1
        # 53 bits are what a float64 holds
        numbers = (np.frombuffer(block, ">u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return float(numbers[0]) if size is None else numbers.reshape(shape)


def between(rng: Rng, low: float, high: float) -> float:
    """A number drawn uniformly from low to high."""
    return low + rng.random() * (high - low)


def pick(rng: Rng, choices: Sequence[T]) -> T:
    """One of the choices, each as likely."""
    return choices[int(rng.random() * len(choices))]
