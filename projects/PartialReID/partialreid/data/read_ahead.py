"""Batches that threads read while the network works on those before them.

A worker process of torch's DataLoader copies each batch into shared memory, from where another
process takes it. On a CPU, whose cores the network needs, that costs more than reading beside the
network gains. A thread gives its batch away as it is, and decoding and resizing let other threads
run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from torch.utils.data import Dataset, default_collate


class ReadAhead:
    """The batches of a data set in their order, as a DataLoader gives them.

    Args:
        dataset: from a number to an item; asked by several threads at once.
        batches: numbers of the items of each batch.
        threads: as many batches are read at once, each by a thread of its own; 0 reads a batch when
            it is asked for.

    Attributes: as the arguments; `num_workers` is DataLoader's name for `threads`.
    """

    def __init__(self, dataset: Dataset[Any], batches: Iterable[Sequence[int]], threads: int):
        self.dataset, self.batches, self.num_workers = dataset, list(batches), threads

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        """The batches; what cannot be read is an error when its batch is asked for."""
        if not self.num_workers:
            yield from map(self._read, self.batches)
            return
        left = iter(self.batches)
        pool = ThreadPoolExecutor(self.num_workers, "reading")
        try:
            # One more than are read, so that no thread waits while the network takes its batch.
            ahead = deque(pool.submit(self._read, b) for b in islice(left, self.num_workers + 1))
            while ahead:
                batch = ahead.popleft().result()
                ahead.extend(pool.submit(self._read, b) for b in islice(left, 1))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, batch: Sequence[int]) -> Any:
        return default_collate([self.dataset[i] for i in batch])
