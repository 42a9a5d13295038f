"""Several pieces of work side by side on a CPU, each on one thread.

Products of a single gallery image are too small to be shared between threads: these wait for each
other at every step of a product, a copy or a sum. Threads with an image each never wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def side_by_side(
    function: Callable[[T], R], work: Sequence[T], workers: int
) -> Iterator[Iterator[R]]:
    """Results of a function in the order of the work, by threads that start at once.

    The function finds neither gradients nor inference mode, which belong to the thread that asks.

    Args:
        function: of one item; an error that it raises reaches whoever takes the result.
        work: the items.
        workers: how many threads; with one the work is done where the results are taken.
    """
    if workers == 1:
        yield map(function, work)
        return
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers, "matching", torch.set_num_threads, (1,)) as pool:
            yield pool.map(torch.no_grad()(function), work)
    finally:
        # The number holds for threads that are made later, too.
        torch.set_num_threads(threads)
