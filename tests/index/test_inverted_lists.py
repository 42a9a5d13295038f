"""A search through all inverted lists finds what a search of all images finds, through few most.

Images stand in clusters, as people do; 1,000 of them are many here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from partialreid.index import blocks, inverted_lists, rough_search, two_passes
from partialreid.index.gallery import Index
from partialreid.index.inverted_lists import InvertedLists, bytes_of_lists
from partialreid.matching.coarse import LEVELS
from tests.index.made_up import made_index, queries, record, records

PEOPLE, LENGTH = 30, 16
GALLERY = records(range(70))


class Clustered:
    """Images around some people, and queries of the same people.

    Attributes:
        levels, scale: of the images, as an index holds them.
        vectors: what they stand for, in float64.
    """

    def __init__(self, images: int, seed: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        people = torch.randn(PEOPLE, LENGTH, generator=generator)
        who = torch.randint(PEOPLE, (images,), generator=generator)
        codes = people[who] + 0.3 * torch.randn(images, LENGTH, generator=generator)
        self.scale = codes.abs().amax(1) / LEVELS
        self.levels = (codes / self.scale[:, None]).round().to(torch.int8)
        self.vectors = self.levels.double() * self.scale[:, None].double()
        self.queries = people + 0.3 * torch.randn(PEOPLE, LENGTH, generator=generator)

    def through(self, places: np.ndarray):
        for some in np.array_split(places, max(1, len(places) // 100)):
            here = torch.from_numpy(some)
            yield here, (self.levels[here], self.levels[here, :0], self.scale[here])

    def nearest(self, count: int, allowed: np.ndarray) -> list[set[int]]:
        """By a slow product in float64."""
        near = (self.queries.double() @ self.vectors[allowed].T).topk(count, dim=1).indices
        return [set(row) for row in allowed[near.numpy()].tolist()]


def found(lists: InvertedLists, made: Clustered, ids: np.ndarray, count: int) -> list[set[int]]:
    """Candidates of each query, as ids, which are also places among the made-up images."""

    def through(places: np.ndarray):
        for here, block in made.through(ids[places]):
            yield torch.from_numpy(np.searchsorted(ids, here.numpy())), block

    pairs = lists.candidates(made.queries, count, 1, ids, through)
    assert pairs is not None
    query, place = (part.numpy() for part in pairs)
    assert (np.diff(query) >= 0).all()
    rows = [place[query == one] for one in range(PEOPLE)]
    assert all((np.diff(row) > 0).all() for row in rows), "ascending, each once"
    return [set(ids[row].tolist()) for row in rows]


def recall(got: list[set[int]], wanted: list[set[int]]) -> float:
    return float(np.mean([len(one & other) / len(other) for one, other in zip(got, wanted)]))


def lists_of(probes: int, budget: float = 1e9) -> InvertedLists:
    return InvertedLists(probes, blocks.Budget(budget))


@pytest.mark.parametrize("probes", [31, 10**6])
def test_all_lists_hold_the_nearest(probes: int) -> None:
    made, ids = Clustered(1000), np.arange(1000)
    # A byte for what the centre leaves cannot tell the very last ones from the next.
    assert recall(found(lists_of(probes), made, ids, 40), made.nearest(35, ids)) == 1


def test_few_lists_hold_most_of_clustered_images() -> None:
    made, ids = Clustered(1000), np.arange(1000)
    wanted = made.nearest(10, ids)
    one, three = (recall(found(lists_of(n), made, ids, 40), wanted) for n in (1, 3))
    assert 0.5 < one < three
    assert three > 0.9
    again = found(lists_of(3), made, ids, 40)
    assert again == found(lists_of(3), made, ids, 40), "the same lists, whoever makes them"


def test_images_that_come_and_go_are_followed() -> None:
    made = Clustered(1200)
    lists = lists_of(10**6)
    before, after = np.arange(900), np.arange(300, 1200)
    assert recall(found(lists, made, before, 40), made.nearest(35, before)) == 1
    got = found(lists, made, after, 40)
    assert recall(got, made.nearest(35, after)) == 1
    assert max(set.union(*got)) >= 900, "what came is found"
    assert min(set.union(*got)) >= 300, "what went is not"
    few = lists_of(3)
    found(few, made, before, 40)
    assert recall(found(few, made, after, 40), made.nearest(10, after)) > 0.9


def test_too_few_candidates_or_bytes_are_no_answer() -> None:
    made, ids = Clustered(1000), np.arange(1000)
    budget = blocks.Budget(bytes_of_lists(1000, LENGTH))
    lists = InvertedLists(1, budget)
    assert lists.candidates(made.queries, 900, 800, ids, made.through) is None
    assert lists.candidates(made.queries, 900, 1, ids, made.through) is not None
    assert budget.left == 0
    more = np.arange(1001)
    assert lists.candidates(made.queries, 900, 1, more, Clustered(1001).through) is None
    assert budget.left == bytes_of_lists(1000, LENGTH), "what was taken is given back"
    assert lists.candidates(made.queries, 900, 1, np.arange(1000), made.through) is not None


def test_what_breaks_off_leaves_nothing_behind() -> None:
    made, ids = Clustered(1000), np.arange(1000)
    budget = blocks.Budget(1e9)
    lists = InvertedLists(10**6, budget)
    wanted = found(lists, made, ids[:800], 40)

    def damaged(places: np.ndarray):
        yield from list(made.through(places))[:1]
        raise ValueError("a code is damaged")

    for some in (ids[:800], ids):  # they follow, or are made
        lists.forget()
        if len(some) > 800:
            found(lists, made, ids[:800], 40)
        with pytest.raises(ValueError, match="a code is damaged"):
            lists.candidates(made.queries, 40, 1, some, damaged)
        assert budget.left == 1e9
        assert found(lists, made, ids[:800], 40) == wanted
        lists.forget()


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Thirty images are many, and stand in several blocks. How many each search by lists finds."""
    monkeypatch.setattr(rough_search, "MANY", 1)
    monkeypatch.setattr(two_passes, "LEAST", 1)
    monkeypatch.setattr(two_passes, "CANDIDATES", 6)
    for module in (blocks, rough_search, inverted_lists):
        monkeypatch.setattr(module, "IDS", 8)
    listed: list[int] = []
    whole = rough_search.by_whole_codes

    def counted(*args):
        listed.append(len(args[2][0]))
        return whole(*args)

    monkeypatch.setattr(rough_search, "by_whole_codes", counted)
    return listed


def test_an_index_is_searched_through_all_lists_as_without(tmp_path: Path, many: list[int]) -> None:
    path, query = made_index(tmp_path, GALLERY), queries()
    with (
        Index.open(path, write=True) as writer,
        Index.open(path) as plain,
        Index.open(path, probes=99) as index,
    ):

        def same(turns: int) -> None:
            for some in (plain, index):
                some.refresh()
            for _ in range(2):  # lists that are made, or follow; and as they are
                assert torch.equal(index.shortlist(query, 4), plain.shortlist(query, 4))
            assert len(many) == turns and set(many) == {5 * 24}

        same(2)
        writer.remove(["a/011.jpg", "a/012.jpg", "a/060.jpg"])
        writer.put([record(number, seed=3) for number in (5, 80, 81)])  # one in another's place
        same(4)
        writer.put(records(range(100, 180)))  # all are coded anew, as they have doubled
        same(6)


def test_a_selection_is_searched_without_lists(tmp_path: Path, many: list[int]) -> None:
    path, query = made_index(tmp_path, GALLERY), queries()
    with Index.open(path) as plain, Index.open(path, probes=99) as index:
        for rows in (index.select({"day": "mon"}), range(70)):
            wanted = plain.shortlist(query, 4, rows=rows)
            assert torch.equal(index.shortlist(query, 4, rows=rows), wanted)
    assert not many


def test_few_images_and_little_memory_are_searched_without_lists(
    tmp_path: Path, many: list[int]
) -> None:
    path, query = made_index(tmp_path, GALLERY), queries()
    enough = 70 * (10 + 4) + bytes_of_lists(70, 10)  # levels and scales, and the lists
    for topk, memory_bytes in ((12, 1e9), (4, enough - 1)):
        with (
            Index.open(path) as plain,
            Index.open(path, memory_bytes=memory_bytes, probes=99) as some,
        ):
            assert torch.equal(some.shortlist(query, topk), plain.shortlist(query, topk))
    assert not many
    with Index.open(path, memory_bytes=enough, probes=99) as index:
        index.shortlist(query, 4)
    assert len(many) == 1


def test_a_query_looks_into_one_list_at_least(tmp_path: Path) -> None:
    path = made_index(tmp_path, GALLERY)
    with pytest.raises(ValueError, match="probes is 0: a query looks into one list at least"):
        Index.open(path, probes=0)
