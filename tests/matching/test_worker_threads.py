"""Listed pairs on several threads of a CPU: the numbers, errors and settings of a single one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from partialreid.matching.column_store import ColumnStore
from partialreid.matching.reconstruction import reconstruction_distance_pairs
from partialreid.matching.worker_threads import side_by_side
from tests.reconstruction_oracle import features, oracle, weights_of

WORKERS = 3


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(WORKERS)
    yield
    torch.set_num_threads(before)


def threads_of_a_later_thread() -> int:
    """It has the number that was set last anywhere; the thread that asks keeps its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_results_come_in_the_order_of_the_work_from_threads_of_one() -> None:
    with side_by_side(lambda n: (n, torch.get_num_threads()), range(20), WORKERS) as results:
        assert list(results) == [(n, 1) for n in range(20)]
    assert torch.get_num_threads() == threads_of_a_later_thread() == WORKERS


def test_threads_are_set_back_after_an_error() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        side_by_side(lambda n: 1 // n, [1, 0, 2], WORKERS) as results,
    ):
        list(results)
    assert torch.get_num_threads() == threads_of_a_later_thread() == WORKERS


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("memory_bytes", [1, 20_000, None])
def test_pairs_are_those_of_the_oracle(mode: type, memory_bytes: int | None) -> None:
    sizes = [5, 17, 1, 9, 17, 3, 12]
    with mode():
        query = [features(i, 1, 40, n)[0] for i, n in enumerate(sizes)]
        gallery = [features(50 + i, 1, 40, 3 + i % 5)[0] for i in range(31)]
        gallery[4] = query[0][:, :3].clone()
        weights = [weights_of(i, 1, n)[0] for i, n in enumerate(sizes)]
        pairs = torch.cartesian_prod(torch.arange(7), torch.arange(31))[torch.randperm(217)[:150]]
        found = reconstruction_distance_pairs(
            query, gallery, pairs, weights, memory_bytes=memory_bytes
        )
    expected = oracle(query, gallery, weights)[pairs[:, 0], pairs[:, 1]]
    torch.testing.assert_close(found.double(), expected, atol=5e-6, rtol=0)
    assert torch.get_num_threads() == threads_of_a_later_thread() == WORKERS


def test_columns_of_one_file_are_not_mixed_up(tmp_path: Path) -> None:
    images = features(1, 60, 64, 9)
    pairs = torch.cartesian_prod(torch.arange(20), torch.arange(40))
    expected = reconstruction_distance_pairs(images[:20], images[20:], pairs)
    with ColumnStore(0, str(tmp_path), "cpu") as store:
        store.append(images)
        assert store.bytes_in_memory == 0
        query, gallery = store.part(0, 20), store.part(20, 60)
        for _ in range(5):
            found = reconstruction_distance_pairs(query, gallery, pairs)
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_broken_column_is_named() -> None:
    query, gallery = features(1, 4, 16, 5), features(2, 30, 16, 5)
    gallery[17, 3, 1] = float("nan")
    every = torch.cartesian_prod(torch.arange(4), torch.arange(30))
    with pytest.raises(ValueError, match="gallery columns of image 17"):
        reconstruction_distance_pairs(query, gallery, every)
    assert torch.get_num_threads() == threads_of_a_later_thread() == WORKERS
