"""Threads that read batches ahead: the same batches, errors of the batch that has them, no more."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from partialreid.data.read_ahead import ReadAhead


class Numbers(Dataset[Any]):
    """Items that come the later the earlier they stand in a batch of two."""

    def __init__(self, broken: int | None = None) -> None:
        self.broken, self.threads, self.read = broken, set[str](), set[int]()

    def __getitem__(self, index: int) -> dict[str, Any]:
        time.sleep(0.002 * (index % 3))
        self.threads.add(threading.current_thread().name)
        self.read.add(index)
        if index == self.broken:
            raise OSError(f"item {index}")
        return {
            "images": torch.full((2, 3), float(index)),
            "targets": index,
            "img_paths": f"{index}",
        }


BATCHES = [[0, 1], [2, 3, 4], [7], [5, 6]]


@pytest.mark.parametrize("threads", [0, 1, 3, 9])
def test_batches_are_those_of_a_data_loader(threads: int) -> None:
    data = Numbers()
    loader = ReadAhead(data, BATCHES, threads)
    wanted = list(DataLoader(Numbers(), batch_sampler=BATCHES))
    for _ in range(2):
        found = list(loader)
        assert len(found) == len(loader) == len(BATCHES)
        for ours, theirs in zip(found, wanted, strict=True):
            assert torch.equal(ours["images"], theirs["images"])
            assert torch.equal(ours["targets"], theirs["targets"])
            assert ours["img_paths"] == theirs["img_paths"]
    here = threading.current_thread().name
    assert (data.threads == {here}) if threads == 0 else (here not in data.threads)


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_with_its_batch(threads: int) -> None:
    batches = iter(ReadAhead(Numbers(broken=7), BATCHES, threads))
    assert [next(batches)["targets"].tolist() for _ in range(2)] == [[0, 1], [2, 3, 4]]
    with pytest.raises(OSError, match="item 7"):
        next(batches)


def test_no_more_is_read_than_is_asked_for() -> None:
    """Memory: batches wait for the network, not all of a test set at once."""
    before = threading.active_count()
    data = Numbers()
    batches = iter(ReadAhead(data, [[i] for i in range(40)], 2))
    next(batches)
    time.sleep(0.1)
    batches.close()
    assert threading.active_count() == before
    assert {0} <= data.read <= {0, 1, 2, 3}
