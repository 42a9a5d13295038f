"""Progress of long work: a bar in a terminal, plain log lines elsewhere, an estimate in both."""

from __future__ import annotations

import datetime
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)
T = TypeVar("T")
SECONDS_BETWEEN_LINES = 20.0


def progress(work: Iterable[T], total: int, name: str, unit: str = "batches") -> Iterator[T]:
    """Yield from `work`, showing how far it is and how long it will take.

    Args:
        work: what is iterated.
        total: how many items it has.
        name: what is being done, as a noun.
        unit: what an item is.
    """
    if sys.stderr.isatty():
        yield from tqdm(work, total=total, desc=name, unit=f" {unit}", leave=False)
        return
    start = last = time.monotonic()
    for done, item in enumerate(work, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            last = now
            left = datetime.timedelta(seconds=round((now - start) / done * (total - done)))
            logger.info(f"{name}: {done} of {total} {unit}, about {left} left")


def tracker(name: str, unit: str = "blocks") -> Callable[[Sequence[T]], Iterator[T]]:
    """A function that iterates over a sequence with progress, for code that does not log itself."""
    return lambda work: progress(work, len(work), name, unit)
