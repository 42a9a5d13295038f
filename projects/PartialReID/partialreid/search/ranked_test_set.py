"""The page of a test set: ranked lists of some of its queries, right and wrong answers marked.

Shapes: C channels, M columns of an image.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ..dsr_evaluation import DTYPES, DsrEvaluator
from ..evaluation.refinement import is_refined
from ..images.lists import Item
from ..images.pictures import rgb_of
from ..metrics.ranking import as_array
from ..metrics.report import Distance
from ..reporting.answer_page import PageAnswer, PageQuery, data_of
from ..runtime.progress import progress
from .calibration import Calibration
from .example_lists import ExampleLists, example_lists
from .extraction import Extractor
from .list_verdicts import ListVerdicts
from .reasons import Reasons
from .stamped import Stamped

logger = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """How much a page shows.

    Attributes:
        queries: how many of the test set.
        length: of the lists.
        explained: how many answers of a list are explained, the first ones.
    """

    queries: int
    length: int
    explained: int


class ExtractedAnew:
    """The gallery of a test set, an image of which is extracted when it is asked for.

    The evaluation has freed its columns, and of a large gallery a page explains a few images.

    Args:
        paths: of its images.
        extractor: that they go through.
        cfg: config of the evaluation.
    """

    def __init__(self, paths: Sequence[str], extractor: Extractor, cfg: Any) -> None:
        self.pictures = paths
        self._extractor, self._kept = extractor, DTYPES[cfg.TEST.DSR.STORAGE]

    def columns(self, place: int) -> Tensor:
        """The columns (C, M) of one image."""
        return self._extractor.every([self.pictures[place]]).columns[0].to(self._kept)

    def lost(self, place: int) -> str:
        """Nothing: a picture that is shown is extracted as it is now."""
        return ""


def ranking_distance(evaluator: DsrEvaluator) -> Distance:
    """The distance by which a test set is ranked: that of the config, if it was computed."""
    kind: Distance = evaluator.cfg.TEST.DSR.DISTANCE
    return kind if kind in evaluator.distances else "global"


def page_queries(
    items: Sequence[Item],
    evaluator: DsrEvaluator,
    extractor: Extractor,
    calibration: Calibration | None,
    wanted: Wanted,
) -> list[PageQuery]:
    """What a page shows of an evaluated test set.

    Lists are those of the whole gallery, whatever TEST.DSR.PROTOCOL says, without the images that
    the evaluation leaves out of them.

    Args:
        items: the images, queries first, as `checked_evaluation.evaluated` gives them.
        evaluator: with its distances.
        extractor: of the network that was evaluated.
        calibration: what its distances mean, if that is known.
        wanted: how much is shown.

    Raises:
        ValueError: no query has a match.
        OSError: an image is no longer where it was.
    """
    kind = ranking_distance(evaluator)
    paths = [item[0] for item in items]
    q_count = len(evaluator.distances[kind])
    queries, gallery = paths[:q_count], paths[q_count:]
    every = example_lists(evaluator.distances, evaluator.ids, kind, queries, wanted.queries)
    reasons = explained(every, queries, gallery, evaluator.cfg, extractor, wanted.explained)
    known = calibration if applies(calibration, kind, evaluator.cfg) else None
    found = []
    for lists, drawn in zip(every, reasons, strict=True):
        people = as_array(evaluator.ids[1])[lists.ranked().places].tolist()
        row = evaluator.distances[kind][lists.query].double().numpy()[lists.ranked().places]
        said = ListVerdicts(known, row, people) if known else None
        answers = []
        for place in lists.shown(wanted.length):
            ranks = lists.ranks(place)
            i = ranks[kind] - 1
            answers.append(
                PageAnswer(
                    {name: ranks[name] for name in ranks},
                    gallery[place],
                    data_of(rgb_of(gallery[place])),
                    {k: float(d[lists.query, place]) for k, d in evaluator.distances.items()},
                    said.probability(i) if said else None,
                    said.verdict(i) if said else "",
                    reason=drawn.get(place, ""),
                    right=bool(lists.ranked().right[i]),
                )
            )
        asked = queries[lists.query]
        in_gallery, note = said.in_gallery if said else None, said_of(lists)
        found.append(
            PageQuery(asked, data_of(rgb_of(asked)), in_gallery, answers, note, lists.group)
        )
    return found


def explained(
    every: Sequence[ExampleLists],
    queries: Sequence[str],
    gallery: Sequence[str],
    cfg: Any,
    extractor: Extractor,
    count: int,
) -> list[dict[int, str]]:
    """The explanations of the first answers of some lists, by place, as a page holds them.

    Args:
        every: the lists.
        queries, gallery: paths of the whole test set.
        cfg: of its evaluation; nothing is explained where that was by the global distance alone.
        extractor: of the network.
        count: of answers of each list.

    Raises:
        OSError: an image is no longer where it was.
    """
    found: list[dict[int, str]] = [{} for _ in every]
    if not cfg.TEST.DSR.ENABLED:
        return found
    asked = [queries[lists.query] for lists in every]
    anew, stamped = ExtractedAnew(gallery, extractor, cfg), Stamped(asked)
    reasons = Reasons(extractor, cfg, stamped, extractor.every(asked), anew)
    work = [
        (number, place)
        for number, lists in enumerate(every)
        for place in lists.ranked().places[:count].tolist()
    ]
    for number, place in progress(work, len(work), "explaining answers", "answers"):
        beside = every[number].rival(place)
        found[number][place] = data_of(reasons.picture(number, [place, *beside]), None)
    return found


def applies(calibration: Calibration | None, kind: Distance, cfg: Any) -> bool:
    """Whether a calibration speaks of the distances of an evaluation."""
    if calibration is None:
        return False
    fixed = kind != "fused" or cfg.TEST.DSR.LAMBDA_SELECTION == "fixed"
    if calibration.kind == kind and fixed and not is_refined(cfg.TEST):
        return True
    logger.warning(
        f"no verdicts: the calibration of the model is of its {calibration.kind} distance with one "
        "lambda, unrefined; TEST.DSR.LAMBDA_SELECTION fixed ranks by such a one."
    )
    return False


def said_of(lists: ExampleLists) -> str:
    """How hard a query is, in words."""
    places, right = lists.ranked()
    return (
        f"first right answer: {1 + int(right.argmax())} of {len(places)}; average precision: "
        f"{100 * lists.ap:.1f} %"
    )
