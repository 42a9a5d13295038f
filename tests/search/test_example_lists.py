"""Lists of a test set: what a page shows of each, and beside what an answer is explained."""

from __future__ import annotations

import numpy as np
import torch

from partialreid.search.example_lists import GROUPS, ExampleLists, example_lists

#          0    1    2    3    4    5
GLOBAL = [0.1, 0.2, 0.3, 0.4, 0.5, 0.0]
FUSED_ = [0.5, 0.1, 0.4, 0.2, 0.3, 0.0]
# Person 7 by camera 1 asks; place 5 is the same person by the same camera.
IDS = ([7], [3, 4, 7, 3, 7, 7], [1], [1, 1, 2, 2, 2, 1])


def lists() -> ExampleLists:
    distances = {"global": torch.tensor([GLOBAL]), "fused": torch.tensor([FUSED_])}
    (found,) = example_lists(distances, IDS, "fused", ["q.png"], 4)
    return found


def test_every_distance_has_its_list() -> None:
    found = lists()
    assert (found.query, found.group) == (0, GROUPS[0])
    assert found.by["global"].places.tolist() == [0, 1, 2, 3, 4]
    assert found.by["fused"].places.tolist() == [1, 3, 4, 2, 0]
    assert found.ap == np.mean([1 / 3, 2 / 4])
    assert found.ranks(4) == {"global": 5, "fused": 3}


def test_what_is_shown_is_the_beginning_of_each_list_and_its_first_right_answer() -> None:
    found = lists()
    # 1 and 0 are the first; 4 and 2 are the first right ones by one distance each.
    assert found.shown(1) == [1, 4, 2, 0]
    assert found.shown(4) == [1, 3, 4, 2, 0]


def test_a_right_answer_stands_beside_the_nearest_wrong_one_and_a_wrong_one_vice_versa() -> None:
    found = lists()
    assert found.rival(4) == found.rival(2) == [1]
    assert found.rival(1) == found.rival(0) == [4]
    (all_right,) = example_lists(
        {"fused": torch.tensor([[0.2, 0.1]])}, ([1], [1, 1], [1], [2, 2]), "fused", ["q.png"], 1
    )
    assert all_right.rival(0) == []


def test_groups_say_why_a_query_was_chosen() -> None:
    distances = {"fused": torch.tensor([[0.1, 0.2], [0.2, 0.1]])}
    ids = ([1, 1], [1, 2], [1, 1], [2, 2])
    found = example_lists(distances, ids, "fused", ["a.png", "b.png"], 2)
    assert [(one.query, one.group) for one in found] == [(1, GROUPS[0]), (0, GROUPS[1])]
