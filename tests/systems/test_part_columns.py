"""Which columns of a whole query stand for a part of it."""

from __future__ import annotations

import pytest
import torch

from partialreid.matching.pyramid import pyramid_columns
from partialreid.systems.part_columns import SIDES, draw_part, part_columns

KERNELS, STRIDE = (2, 4, 6, 8), 2


@pytest.mark.parametrize("share", (0.01, 0.35, 0.5, 0.8, 1.0))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("size", ((16, 8), (13, 9)))
def test_they_see_nothing_of_the_rest(size: tuple[int, int], side: str, share: float) -> None:
    """Where the rest of the map is changed, they stay; those that are left out see some of it."""
    height, width = size
    length = height if side in ("top", "bottom") else width
    kept = min(max(round(share * length), 3), length)
    places = part_columns(size, KERNELS, STRIDE, side, share)
    assert len(places) and places.tolist() == sorted(set(places.tolist()))
    torch.manual_seed(0)
    before = torch.rand(1, 3, height, width)
    after = before + 1
    if side in ("top", "bottom"):
        rows = slice(0, kept) if side == "top" else slice(height - kept, height)
        after[:, :, rows] = before[:, :, rows]
    else:
        columns = slice(0, kept) if side == "left" else slice(width - kept, width)
        after[:, :, :, columns] = before[:, :, :, columns]
    one, other = (pyramid_columns(x, KERNELS, STRIDE)[0] for x in (before, after))
    same = (one == other).all(1)[0]
    assert same.nonzero()[:, 0].tolist() == places.tolist()


def test_draws() -> None:
    def draw(probability: float) -> torch.Tensor | None:
        return draw_part((16, 8), KERNELS, STRIDE, probability=probability, share=(0.5, 0.5))

    before = torch.get_rng_state()
    assert draw(0.0) is None
    # A training without parts draws what it drew before there were any.
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(0)
    found = [draw(0.5) for _ in range(200)]
    whole = sum(places is None for places in found)
    assert 70 <= whole <= 130
    halves = {tuple(places.tolist()) for places in found if places is not None}
    assert halves == {
        tuple(part_columns((16, 8), KERNELS, STRIDE, side, 0.5).tolist()) for side in SIDES
    }
