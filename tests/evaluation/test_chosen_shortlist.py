"""TEST.DSR.SHORTLIST auto: what is taken, and that results are those of what is taken."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from partialreid.evaluation import chosen_shortlist as module
from partialreid.evaluation.chosen_shortlist import chosen_shortlist
from partialreid.matching.search_cost import Work
from tests.small_evaluation import IMAGES, QUERIES, config, evaluated
from tests.standin.gpu import StandInGpu

GALLERIES = IMAGES - QUERIES


def chosen(settings: dict[str, Any], queries: int, galleries: int, device: str = "cpu") -> str:
    columns = torch.zeros(3, 1280, 70)
    node = config("cpu", {"TEST.DSR.TOPK": 100, "TEST.DSR.COARSE.DIMENSIONS": 64, **settings})
    return chosen_shortlist(node.TEST.DSR, queries, galleries, columns, torch.device(device))


def test_it_depends_on_the_size_and_the_device() -> None:
    auto = {"TEST.DSR.SHORTLIST": "auto"}
    assert chosen(auto, 100, 120) == chosen(auto, 100, 120, "cuda") == "none"
    assert chosen(auto, 3368, 15913) == chosen(auto, 3368, 15913, "cuda") == "coarse"
    assert (chosen(auto, 600, 600), chosen(auto, 600, 600, "cuda")) == ("coarse", "none")


@pytest.mark.parametrize("shortlist", ["coarse", "global", "none"])
def test_what_is_named_is_taken(shortlist: str) -> None:
    settings = {"TEST.DSR.SHORTLIST": shortlist}
    assert chosen(settings, 10, 120, "cuda") == chosen(settings, 3368, 15913) == shortlist
    for topk in (0, 120):
        assert chosen({**settings, "TEST.DSR.TOPK": topk}, 10, 120) == "none"


def test_sparse_codes_are_solved_pair_by_pair() -> None:
    settings = {"TEST.DSR.SHORTLIST": "auto", "TEST.DSR.CODES": "lasso"}
    assert chosen(settings, 100, 120, "cuda") == "coarse"


@pytest.mark.parametrize("taken", ["coarse", "none"])
@pytest.mark.parametrize("on_gpu", [False, True], ids=["cpu", "gpu"])
def test_an_evaluation_is_that_of_what_was_taken(
    on_gpu: bool, taken: str, standin: StandInGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Work, bool]] = []

    def answer(work: Work, on_cpu: bool) -> bool:
        asked.append((work, on_cpu))
        return taken == "none"

    monkeypatch.setattr(module, "all_pairs_are_faster", answer)
    device = standin.name if on_gpu else "cpu"
    evaluator, results = evaluated(device, {"TEST.DSR.SHORTLIST": "auto", "ragged": True})
    # The most columns of any image, though others have fewer.
    assert asked == [(Work(QUERIES, GALLERIES, 4, 24, 7, 7, 8), not on_gpu)]
    expected, wanted = evaluated(device, {"TEST.DSR.SHORTLIST": taken, "ragged": True})
    for name, distance in expected.distances.items():
        assert torch.equal(evaluator.distances[name], distance), name
    assert results == wanted
    # The results say what they depend on.
    assert evaluator.report == {**expected.report, "shortlist": taken}


def test_by_default_nothing_is_chosen() -> None:
    """The published figures are those of the coarse shortlist, whatever is faster."""
    assert config("cpu", {}).TEST.DSR.SHORTLIST == "coarse"
    assert "shortlist" not in evaluated("cpu", {"ragged": False})[0].report
