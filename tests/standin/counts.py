"""What is counted on the stand-in GPU, and where in the code it happened."""

from __future__ import annotations

import sys
from collections import Counter


class Counts:
    """What happened on the stand-in: how often the host waited, by operation and place.

    Attributes:
        waits: times that the host read from the device, or had to know a size that depends on
            values there, by (operation, "file.py:line").
        copies: copies from the host to the device, likewise. CUDA waits for each of them too,
            unless it is asked for with `non_blocking`; those are not counted.
        kernels: kernels that were started at the least, likewise; see `launches`.
    """

    def __init__(self) -> None:
        self.waits: Counter[tuple[str, str]] = Counter()
        self.copies: Counter[tuple[str, str]] = Counter()
        self.kernels: Counter[tuple[str, str]] = Counter()

    @property
    def synchronisations(self) -> int:
        """How often the host waited for a result."""
        return sum(self.waits.values())

    @property
    def transfers(self) -> int:
        """How often the host sent something to the device."""
        return sum(self.copies.values())

    @property
    def launches(self) -> int:
        """How many kernels the host started, at least."""
        return sum(self.kernels.values())

    def __repr__(self) -> str:
        lines = [
            f"{self.synchronisations} synchronisations, {self.transfers} transfers, "
            f"{self.launches} launches"
        ]
        for kind in (self.waits, self.copies, self.kernels):
            lines += [f"  {n:5d} {name} at {place}" for (name, place), n in kind.most_common()]
        return "\n".join(lines)


# Everybody who counts at the moment.
watching: list[Counts] = []


def note_wait(operation: str) -> None:
    """The host waits for the device."""
    for counts in watching:
        counts.waits[operation, place()] += 1


def note_copy(operation: str) -> None:
    """The host sends something to the device, and waits until it is there."""
    for counts in watching:
        counts.copies[operation, place()] += 1


def note_launches(operation: str, kernels: int) -> None:
    """The host starts some kernels on the device."""
    if kernels and watching:
        where = place()
        for counts in watching:
            counts.kernels[operation, where] += kernels


def place() -> str:
    """The innermost line of the package or of FastReID, else of whoever called torch."""
    frame, outside = sys._getframe(1), ""
    while frame is not None:
        file = frame.f_code.co_filename.replace("\\", "/")
        line = f"{file.rsplit('/', 1)[-1]}:{frame.f_lineno}"
        if "/partialreid/" in file or "/fastreid/" in file:
            return line
        own = "/tests/standin/" in file and not line.startswith("test_")
        if not (outside or own or "/torch/" in file):
            outside = line
        frame = frame.f_back
    return outside
