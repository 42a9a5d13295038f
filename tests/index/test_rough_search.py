"""Shortlists from the disk are those of the same images in memory, whatever the memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from partialreid.index import blocks, rough_search
from partialreid.index.gallery import Index
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.shortlists import nearest
from tests.index.made_up import COARSE, DIMENSIONS, images, made_index, queries, record, records

GALLERY = records(range(23))


@pytest.fixture(params=[4, 4096])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    for module in (blocks, rough_search):
        monkeypatch.setattr(module, "IDS", request.param)
    return int(request.param)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("memory_bytes", [0, 300, 1e9])
def test_rough_distances_are_those_in_memory(
    tmp_path: Path, small_blocks: int, memory_bytes: float, squared: bool
) -> None:
    query, settings = queries(), COARSE._asdict()
    rough = build_coarse(images(GALLERY), **settings, squared=squared)
    assert rough is not None
    wanted = rough(query)
    path = made_index(tmp_path, GALLERY)
    with Index.open(path, memory_bytes=memory_bytes) as index:
        for _ in range(2):  # anew, and from memory
            got = index.rough_distances(query, squared=squared)
            torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)
        rows = [1, 2, 7, 12, 22]
        some = index.rough_distances(query, rows, squared)
        torch.testing.assert_close(some, wanted[:, rows], atol=1e-6, rtol=0)
        found = index.shortlist(query, 6, squared=squared)
        assert torch.equal(found, nearest(got, 6))
        found = index.shortlist(query, 3, rows=torch.tensor([22, 7, 2, 12, 1]), squared=squared)
        assert torch.equal(found, torch.tensor(rows)[nearest(got[:, rows], 3)])
        assert index.shortlist(query, 99, squared=squared).shape == (5, 23)
        assert index.shortlist(query, 3, rows=[]).shape == (5, 0)


def halves(count: int, seed: int) -> torch.Tensor:
    """(count, DIMENSIONS) features of unit length whose products are exact in any order of sums.

    Of others, a processor may round the products of equal images in two blocks otherwise.
    """
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (count, 4), generator=generator) - 0.5
    places = torch.rand(count, DIMENSIONS, generator=generator).argsort(1)[:, :4]
    return torch.zeros(count, DIMENSIONS).scatter(1, places, signs)


def test_the_global_distance_keeps_equal_ones_in_order(tmp_path: Path, small_blocks: int) -> None:
    query = queries()._replace(features=halves(5, 0))
    known, last = [*GALLERY, record(40)], record(2, seed=4)
    features = halves(len(known) + 1, 1)
    twins = [one._replace(feature=x) for one, x in zip([*known, last], features, strict=True)]
    near = 1 - query.features.double() @ features.double().T
    # No query tells all images apart.
    assert all(len(row.unique()) < 12 for row in near)
    with Index.open(made_index(tmp_path, twins[:-1], twins[-1:])) as index:
        assert index.names[2] == "a/003.jpg"
        order = [*range(2), *range(3, 25)]
        wanted = torch.argsort(near[:, order], dim=1, stable=True)[:, :7]
        assert torch.equal(index.shortlist(query, 7, by="global"), wanted)
        with pytest.raises(ValueError, match='is by coarse or global, not by "none"'):
            index.shortlist(query, 7, by="none")


def test_a_block_with_other_images_is_read_anew(tmp_path: Path, small_blocks: int) -> None:
    """As many images as before, of which one is another."""
    path, query = made_index(tmp_path, GALLERY), queries()
    with Index.open(path) as index:
        index.rough_distances(query)
        with Index.open(path, write=True) as writer:
            writer.remove(["a/022.jpg"])
            writer.put([record(90, seed=4)])
        index.refresh()
        assert index.names[22] == "a/090.jpg"
        with Index.open(path) as fresh:
            assert torch.equal(index.rough_distances(query), fresh.rough_distances(query))


def test_what_is_kept_stays_below_the_budget_and_follows_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "IDS", 4)
    monkeypatch.setattr(rough_search, "IDS", 4)
    read: list[int] = []

    def counted(database, device, first: int, stop: int):
        read.append(first // 4)
        return blocks.read_codes(database, device, first, stop)

    monkeypatch.setattr(rough_search, "read_codes", counted)
    path, query = made_index(tmp_path, GALLERY), queries()
    # 10 levels and a scale for each image: two whole blocks and that of ids 1 to 3.
    with Index.open(path, memory_bytes=14 * 11) as index:
        index.rough_distances(query)
        assert read == [0, 1, 2, 3, 4, 5]
        read.clear()
        index.rough_distances(query)
        assert read == [3, 4, 5]
    with Index.open(path) as index, Index.open(path, write=True) as writer:
        before = index.rough_distances(query)
        read.clear()
        writer.remove(["a/005.jpg"])
        writer.put(records([30]))
        index.refresh()
        after = index.rough_distances(query)
        # Id 6 is gone and id 24 has come: all else is as it was.
        assert read == [1, 6]
        # A block of another size may be rounded otherwise.
        wanted = before[:, [*range(5), *range(6, 23)]]
        torch.testing.assert_close(after[:, :22], wanted, atol=1e-6, rtol=0)
        read.clear()
        writer.put(records(range(40, 63)))
        index.refresh()
        index.rough_distances(query)
        assert read == list(range(12)), "all are coded anew, as they have doubled"


def test_a_search_in_little_memory_is_the_same(tmp_path: Path, small_blocks: int) -> None:
    query = queries()
    rows = np.arange(0, 23, 2)
    path = made_index(tmp_path, GALLERY)
    with Index.open(path) as rich, Index.open(path, memory_bytes=0) as poor:
        for by in ("coarse", "global"):
            wanted = rich.shortlist(query, 5, rows=rows, by=by)
            assert torch.equal(poor.shortlist(query, 5, rows=rows, by=by), wanted)
