"""The nearest by two passes are those of one, and a code that nobody asks for is not read again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from partialreid.index import blocks, rough_search, two_passes
from partialreid.index.gallery import Index
from partialreid.matching.extracted import Images
from partialreid.matching.shortlists import nearest
from tests.index.made_up import made_index, queries, records

GALLERY = records(range(70))


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seventy images are many, and stand in several blocks."""
    monkeypatch.setattr(rough_search, "MANY", 1)
    monkeypatch.setattr(two_passes, "LEAST", 1)
    monkeypatch.setattr(two_passes, "CANDIDATES", 6)
    for module in (blocks, rough_search):
        monkeypatch.setattr(module, "IDS", 8)


@pytest.mark.parametrize(("leading", "candidates"), [(3, 15), (10, 6)])
@pytest.mark.parametrize("at_once", [1, 2**27])
def test_two_passes_find_what_one_finds(
    tmp_path: Path,
    many: None,
    monkeypatch: pytest.MonkeyPatch,
    leading: int,
    candidates: int,
    at_once: int,
) -> None:
    monkeypatch.setattr(two_passes, "CANDIDATES", candidates)
    monkeypatch.setattr(two_passes, "CODES", at_once)
    monkeypatch.setattr(two_passes, "DISTANCES", 100 if at_once == 1 else 2**25)
    every = rough_search.leading_numbers
    monkeypatch.setattr(rough_search, "leading_numbers", lambda space: every(space, leading))
    passes: list[int] = []
    whole = rough_search.shortlist_in_two_passes

    def counted(*args):
        passes.append(args[-1])
        return whole(*args)

    monkeypatch.setattr(rough_search, "shortlist_in_two_passes", counted)
    query = queries()
    with Index.open(made_index(tmp_path, GALLERY)) as index:
        for rows in (None, list(range(0, 70, 2))):
            distances = index.rough_distances(query, rows)
            wanted = nearest(distances, 4)
            got = index.shortlist(query, 4, rows=rows)
            if rows is not None:
                wanted = torch.tensor(rows)[wanted]
            same = (got[:, :, None] == wanted[:, None]).any(2).float().mean()
            assert same >= 0.95
    assert passes == [4] * (2 if 4 * candidates < 35 else 1)


def test_equal_images_stay_in_order(tmp_path: Path, many: None) -> None:
    twins = [one._replace(name=f"{turn}{one.name}") for turn in range(5) for one in GALLERY[1:8]]
    with Index.open(made_index(tmp_path, twins)) as index:
        found = index.shortlist(queries(), 5)
        for row in found.tolist():
            assert row == sorted(row)
            assert len({place % 7 for place in row}) == 1


def test_codes_that_are_not_kept_are_read_once(
    tmp_path: Path, many: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rough_search, "shortlist_in_two_passes", None)
    query = queries()
    with Index.open(made_index(tmp_path, GALLERY), memory_bytes=14 * 69) as index:
        assert torch.equal(index.shortlist(query, 4), nearest(index.rough_distances(query), 4))


@pytest.mark.parametrize("count", [2, 64])
def test_in_inference_mode_it_is_the_same(tmp_path: Path, many: None, count: int) -> None:
    """Other threads write for a few queries, and are not in the mode of the one that asks."""
    every = queries()
    turn = [number % len(every.columns) for number in range(count)]
    columns, weights = ([some[i] for i in turn] for some in every[1:])
    asked = Images(every.features[turn], columns, weights)
    with Index.open(made_index(tmp_path, GALLERY)) as index:
        wanted = index.shortlist(asked, 4)
        with torch.inference_mode():
            assert torch.equal(index.shortlist(asked, 4), wanted)
    with torch.inference_mode(), Index.open(str(tmp_path / "crops.index")) as index:
        assert torch.equal(index.shortlist(asked, 4), wanted)
