"""Which of two ways to match takes less time: limits that must hold, and what was measured."""

from __future__ import annotations

import itertools

import pytest

from partialreid.matching.search_cost import (
    CPU,
    GPU,
    Work,
    all_pairs_are_faster,
    predicted_seconds,
)

# MobileNetV2 at 256 x 128, and ResNet-50 at 384 x 128.
NETWORKS = [(1280, 70, 70, 64), (2048, 110, 110, 64)]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("on_cpu", [True, False], ids=["cpu", "gpu"])
def test_small_galleries_are_searched_whole(on_cpu: bool, network: tuple[int, ...]) -> None:
    """And large ones by many queries are not: there is one size at which it changes."""
    chosen = [
        all_pairs_are_faster(Work(1000, galleries, 100, *network), on_cpu)
        for galleries in (101, 150, 300, 1000, 3000, 10_000, 100_000, 1_000_000)
    ]
    assert chosen[0] and not chosen[-1]
    assert chosen == sorted(chosen, reverse=True)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_a_gpu_searches_larger_galleries_whole(network: tuple[int, ...]) -> None:
    works = [
        Work(queries, galleries, 100, *network)
        for queries, galleries in itertools.product((1, 60, 600, 3000), (200, 1000, 5000, 50_000))
    ]
    on_cpu, on_gpu = (
        {work for work in works if all_pairs_are_faster(work, device)} for device in (True, False)
    )
    assert on_cpu < on_gpu


@pytest.mark.parametrize("rates", [CPU, GPU], ids=["cpu", "gpu"])
def test_seconds_grow_with_the_work(rates: object) -> None:
    work = Work(100, 2000, 100, 1280, 70, 70, 64)
    before = predicted_seconds(work, rates)
    for name in ("queries", "galleries", "channels", "query_columns", "gallery_columns"):
        larger = predicted_seconds(work._replace(**{name: 2 * getattr(work, name)}), rates)
        assert all(more > less for more, less in zip(larger, before, strict=True)), name
    every, listed = predicted_seconds(work._replace(topk=200), rates)
    assert every == before[0] and listed > before[1]


def test_pairs_are_products_and_images_are_factored() -> None:
    """Without anything else to pay for, the arithmetic of the exact distance by hand."""
    work = Work(3, 50, 10, 64, 7, 9, 8)
    every, _ = predicted_seconds(work, CPU._replace(products=1.0, small=1.0))
    assert every == pytest.approx(50 * (3 * 64 * 81 + 1.6 * 729) + 3 * 50 * 64 * 63)
