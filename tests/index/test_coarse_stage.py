"""The coarse space is fitted to the first images, and anew when they have doubled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from partialreid.index import coarse_stage
from partialreid.index.gallery import Index
from partialreid.matching.coarse import CoarseIndex
from tests.index.made_up import COARSE, images, made_index, queries, records


def state(index: Index) -> tuple[int, int, int]:
    return tuple(index._database.about(key) for key in ("fits", "fitted", "added"))


def test_it_is_fitted_again_after_as_many_additions(tmp_path: Path) -> None:
    with Index.open(made_index(tmp_path), write=True) as index:
        states = []
        for numbers in ([0], [1], [2, 3, 4], [5, 6], [7, 8, 9, 10, 11], [12]):
            index.put(records(numbers))
            states.append(state(index))
        assert states == [(1, 1, 0), (2, 2, 0), (3, 5, 0), (3, 5, 2), (4, 12, 0), (4, 12, 1)]
        # The same again: what counts is what was put in, not how many there are.
        index.put(records(range(11)))
        assert state(index) == (5, 13, 0)


def test_codes_are_of_the_space_whenever_an_image_came(tmp_path: Path) -> None:
    batches = [records(range(start, start + 5)) for start in (0, 5, 10)]
    with Index.open(made_index(tmp_path, *batches)) as index:
        assert state(index) == (2, 10, 5)
        space = coarse_stage.space_of(images(batches[0] + batches[1]).columns, COARSE)
        every = images([record for batch in batches for record in batch]).columns
        query = queries()
        wanted = CoarseIndex(space, every).distances(query.columns, query.weights)
        torch.testing.assert_close(index.rough_distances(query), wanted, atol=1e-6, rtol=0)


def test_an_interrupted_fit_is_made_up_for(tmp_path: Path, monkeypatch) -> None:
    path = made_index(tmp_path, records(range(3)))
    with Index.open(path, write=True) as index:
        original = coarse_stage.write_codes

        def interrupted(database, space, ids, columns):
            if len(ids) > 3:
                raise KeyboardInterrupt
            original(database, space, ids, columns)

        monkeypatch.setattr(coarse_stage, "write_codes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            index.put(records(range(3, 6)))
        monkeypatch.undo()
    with Index.open(path, write=True) as index:
        assert (state(index), len(index), index.check()) == ((1, 3, 3), 6, [])
        index.put(records([9]))
        assert (state(index), len(index), index.check()) == ((2, 7, 0), 7, [])
