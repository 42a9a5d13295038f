"""Which images of a batch are queries, and how they are cut."""

from __future__ import annotations

import pytest
import torch

from partialreid.systems.cut_queries import Cut, choose_queries, draw_cut


def test_cuts_have_the_asked_sizes_and_lie_inside() -> None:
    torch.manual_seed(0)
    cuts = [draw_cut(256, 1.0, (0.55, 0.95), 16) for _ in range(400)]
    assert {cut.rows for cut in cuts} == set(range(144, 256, 16))
    assert all(cut.top % 16 == 0 and 0 <= cut.top <= 256 - cut.rows for cut in cuts)
    tops = {cut.top for cut in cuts if cut.rows == 208}
    assert tops == {0, 16, 32, 48}


def test_the_probability_is_that_of_a_cut() -> None:
    torch.manual_seed(0)
    whole = sum(draw_cut(256, 0.7, (0.5, 0.9), 16) == Cut(0, 256) for _ in range(1000))
    assert 250 < whole < 350
    assert draw_cut(256, 0.0, (0.5, 0.9), 16) == (0, 256)


def test_a_cut_is_drawn_from_torchs_generator_alone() -> None:
    torch.manual_seed(3)
    first = [draw_cut(128, 0.7, (0.3, 0.9), 8) for _ in range(5)]
    torch.manual_seed(3)
    assert first == [draw_cut(128, 0.7, (0.3, 0.9), 8) for _ in range(5)]
    assert len(set(first)) > 1


@pytest.mark.parametrize("height", [16, 20, 70, 71])
def test_awkward_heights(height: int) -> None:
    torch.manual_seed(0)
    for _ in range(100):
        cut = draw_cut(height, 1.0, (0.01, 1.0), 16)
        assert 0 < cut.rows <= height and cut.top + cut.rows <= height


def test_queries_are_the_images_of_which_less_is_visible() -> None:
    labels = torch.tensor([7, 3, 7, 3, 7, 3, 7, 3])
    visible = torch.tensor([1.0, 0.4, 0.2, 1.0, 0.9, 0.3, 0.8, 1.0])
    queries, gallery = choose_queries(labels, visible)
    assert queries.tolist() == [1, 2, 5, 6]
    assert gallery.tolist() == [0, 3, 4, 7]


def test_of_equally_visible_ones_the_first_are_queries() -> None:
    queries, gallery = choose_queries(torch.arange(12) // 4, torch.ones(12))
    assert queries.tolist() == [0, 1, 4, 5, 8, 9]
    assert gallery.tolist() == [2, 3, 6, 7, 10, 11]


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_any_batch_is_divided(count: int) -> None:
    """With odd numbers, and with one identity, as in the batches of precise batch norm."""
    generator = torch.Generator().manual_seed(count)
    for labels in (torch.zeros(count, dtype=torch.long), torch.arange(count) // 3):
        queries, gallery = choose_queries(labels, torch.rand(count, generator=generator))
        assert len(queries) == count // 2
        assert sorted([*queries.tolist(), *gallery.tolist()]) == list(range(count))
