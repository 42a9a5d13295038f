"""None of the nearest is missed, and little else is kept."""

from __future__ import annotations

import pytest
import torch

from partialreid.index.candidates import GROUP, Candidates


@pytest.mark.parametrize("count", [1, 10, 200])
@pytest.mark.parametrize("chunks", [[1], [5, 3 * GROUP, GROUP - 1], [40 * GROUP + 3] * 4])
def test_the_nearest_are_among_the_candidates(count: int, chunks: list[int]) -> None:
    total = sum(chunks)
    generator = torch.Generator().manual_seed(total)
    for distances in (
        torch.randn(3, total, generator=generator),
        torch.randn(3, total, generator=generator).round(),  # many are equal
        torch.arange(total, 0, -1.0).expand(3, -1),  # each chunk is nearer than all before
    ):
        found = Candidates(3, count)
        places = torch.arange(total) * 2 + 1
        for here, some in zip(places.split(chunks), distances.split(chunks, dim=1)):
            found.add(here, some)
        query, place = found.pairs()
        assert torch.equal(query, query.sort().values)
        for number, row in enumerate(distances):
            kept = (place[query == number] - 1) // 2
            assert (kept.diff() > 0).all()
            assert set(row.argsort(stable=True)[:count].tolist()) <= set(kept.tolist())
            # All that is kept is as near as something that a bound was made of.
            if 4 * GROUP * count < total and len(row.unique()) == total:
                assert len(kept) < 4 * GROUP * count
