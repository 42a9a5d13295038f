"""How far verdicts can be trusted: measured on identities that the calibration has not seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..metrics.ranking import Array
from .calibration import Calibration, fitted
from .first_answers import FirstAnswers
from .list_verdicts import ListVerdicts

BINS = 10
FOUND = 0.95


def calibrated(
    answers: FirstAnswers, kind: str, learnt_on: str, settings: Mapping[str, Any] | None = None
) -> Calibration:
    """The calibration that first answers teach; arguments as the attributes of `Calibration`.

    Raises:
        ValueError: as `calibration.fitted`.
    """
    d, m = answers.distance, answers.margin
    return Calibration(
        kind,
        fitted([d], answers.right),
        fitted([d, m], answers.right),
        fitted([d], answers.present),
        fitted([d, m], answers.present),
        learnt_on,
        settings,
    )


def cross_report(answers: FirstAnswers, kind: str) -> dict[str, float]:
    """What a calibration on half of the identities says of the other half, both ways round.

    Of each half's identities, one half is asked with its person in the gallery and one without.

    Returns:
        By the answers' margins: `auc` of "in the gallery"; `calibration_error`, the mean difference
        between probability and frequency over ten bins of equal width, weighted by their answers,
        of `right`, and `calibration_error_in_gallery`; `false_alarms`, the share of absent persons
        that pass the threshold which 95 % of those present pass. Of the other images of the lists
        `listed_said`, their mean probability, `listed_right`, the share of them that is right, and
        `calibration_error_listed`. And the same without identities under `..._without_margin`.

    Raises:
        ValueError: there are too few identities; as `calibration.fitted`.
    """
    from sklearn.metrics import roc_auc_score

    half, asked = _dealt(answers.identity)
    out: dict[str, float] = {}
    for with_margin in (True, False):
        present, right, truth_present, truth_right = [], [], [], []
        listed, truth_listed = [], []
        for side in (0, 1):
            learnt = calibrated(answers.of(half != side), kind, "")
            shown = answers.of((half == side) & (answers.present == (asked == 0)))
            for row, people, asked_for in zip(
                shown.listed, shown.people, shown.identity, strict=True
            ):
                names = people.tolist() if with_margin else [None] * len(people)
                said = ListVerdicts(learnt, row, names)
                present.append(said.in_gallery)
                right.append(said.probability(0))
                others = np.flatnonzero(np.isfinite(row[:-1]))[1:]
                listed += [said.probability(i) for i in others.tolist()]
                truth_listed += (people[others] == asked_for).tolist()
            truth_present += shown.present.tolist()
            truth_right += shown.right.tolist()
        there = np.array(truth_present)
        if there.all() or not there.any():
            raise ValueError(
                "a calibration is tested by people who are in the gallery and people who are not, "
                "two of each half: take more identities."
            )
        scores = np.array(present)
        threshold = np.quantile(scores[there], 1 - FOUND)
        suffix = "" if with_margin else "_without_margin"
        out[f"auc{suffix}"] = float(roc_auc_score(there, scores))
        out[f"calibration_error{suffix}"] = expected_error(right, truth_right)
        out[f"false_alarms{suffix}"] = float((scores[~there] >= threshold).mean())
        out[f"calibration_error_in_gallery{suffix}"] = expected_error(present, truth_present)
        out[f"listed_said{suffix}"] = float(np.mean(listed))
        out[f"listed_right{suffix}"] = float(np.mean(truth_listed))
        out[f"calibration_error_listed{suffix}"] = expected_error(listed, truth_listed)
    return out


def expected_error(probabilities: Sequence[float], truth: Sequence[bool]) -> float:
    """The expected calibration error over `BINS` bins of equal width (Guo et al., 2017)."""
    p, t = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    gaps: Array = np.zeros(BINS)
    np.add.at(gaps, bins, p - t)
    return float(np.abs(gaps).sum() / len(p))


def _dealt(identities: Array) -> tuple[Array, Array]:
    """Of answers (S,) the half, 0 or 1, that the identity is in, and the half of that half.

    Identities are dealt out by turns in an order that has nothing to do with their names, so that
    the halves of even a few are equally large.
    """
    names, places = np.unique(identities, return_inverse=True)
    hashes = [hashlib.sha256(str(name).encode()).hexdigest() for name in names]
    dealt = np.argsort(np.argsort(hashes))[places]
    return dealt % 2, dealt // 2 % 2
