"""What a distance means: the probability that the image shows the person, and that any does.

A distance has no unit that a person knows. On identities that the network has not seen in training
it is known which answers are right: a logistic regression of scikit-learn learns from them how
likely an answer of such a distance is right. A few numbers are all that is kept of it, in the model
file.

The probabilities hold for galleries like that of the calibration; a gallery ten times as large has
more people who look alike, and fewer first answers are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..metrics.ranking import Array

# From which probability on a thing is taken to be so, and below which not to be so.
SURE, HARDLY = 0.9, 0.1


@dataclass(frozen=True)
class Logistic:
    """The probability 1 / (1 + exp(-(intercept + distance * d + margin * m))).

    Attributes:
        intercept, distance, margin: numbers; margin is 0 where no margin is known.
    """

    intercept: float
    distance: float
    margin: float = 0.0

    def __call__(self, d: float, m: float = 0.0) -> float:
        """The probability at distance d and margin m."""
        score = self.intercept + self.distance * d + self.margin * m
        # The exponent stays below 0, whose exponential cannot overflow.
        return 1 / (1 + math.exp(-score)) if score >= 0 else 1 - 1 / (1 + math.exp(score))


@dataclass(frozen=True)
class Calibration:
    """How distances of a model become probabilities.

    Attributes:
        kind: which distance it is of.
        right: that the image at distance d shows the person of the query.
        right_by_margin: the same, where it is known how much farther the next identity is.
        present: that the gallery shows the person at all, from the distance of the first answer.
        present_by_margin: the same with the margin.
        learnt_on: in words: data sets, identities, queries.
        settings: what its distances depend on, `distance_settings`; None in older files.
    """

    kind: str
    right: Logistic
    right_by_margin: Logistic
    present: Logistic
    present_by_margin: Logistic
    learnt_on: str
    settings: Mapping[str, Any] | None = None

    def probability(self, distance: float, margin: float | None) -> float:
        """That an image at this distance shows the person of the query.

        Args:
            distance: of the kind of the calibration.
            margin: how much farther the nearest image of another identity is, below 0 where it is
                nearer; None where identities are not known.
        """
        if margin is None:
            return self.right(distance)
        return self.right_by_margin(distance, margin)

    def in_gallery(self, distance: float, margin: float | None) -> float:
        """That the gallery shows the person, from the first answer; arguments as `probability`.

        It is no less than the probability of the first answer: where that is right, the person is
        there. Two regressions do not know that of each other.
        """
        if margin is None:
            return max(self.present(distance), self.right(distance))
        by_margin = (self.present_by_margin, self.right_by_margin)
        return max(curve(distance, margin) for curve in by_margin)

    def as_plain(self) -> dict[str, Any]:
        """Plain values, as a model file holds them."""
        return asdict(self)


def from_plain(values: Mapping[str, Any]) -> Calibration:
    """What `Calibration.as_plain` gave, read again.

    Raises:
        ValueError: values are missing or of another kind.
    """
    try:
        curves = {
            name: Logistic(**{key: float(value) for key, value in values[name].items()})
            for name in ("right", "right_by_margin", "present", "present_by_margin")
        }
        settings = values.get("settings")
        return Calibration(
            str(values["kind"]),
            learnt_on=str(values["learnt_on"]),
            settings=None if settings is None else dict(settings),
            **curves,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the calibration of the model file is damaged ({error!r})") from error


def verdict_of(probability: float, in_gallery: float | None = None) -> str:
    """What is known of an image, in a word.

    Args:
        probability: that it shows the person.
        in_gallery: that any image does. It is given for the first image of a list, whose word is
            that on the whole search.

    Returns:
        Of the first image "nobody" where the person is hardly in the gallery, else "match" where
        the image is surely the person's. Of any other image "match" likewise, and "other" where it
        is hardly the person's. "unsure" of all else.
    """
    if in_gallery is not None and in_gallery < HARDLY:
        return "nobody"
    if probability >= SURE:
        return "match"
    return "other" if in_gallery is None and probability < HARDLY else "unsure"


def fitted(features: Sequence[Array], truth: Array) -> Logistic:
    """The logistic regression of a truth (S,) on one or two features (S,) each.

    Raises:
        ValueError: all of the truth is the same.
    """
    from sklearn.linear_model import LogisticRegression

    if truth.all() or not truth.any():
        raise ValueError(
            "a calibration needs answers that are right and answers that are wrong: take more "
            "identities."
        )
    values = np.stack(features, axis=1).astype(np.float64)
    # In units of their spread, so that the solver's weak pull to 0 means the same for each.
    mean, spread = values.mean(0), values.std(0).clip(1e-12)
    found = LogisticRegression(C=1e3, max_iter=1000).fit((values - mean) / spread, truth)
    slopes = found.coef_[0] / spread
    return Logistic(float(found.intercept_[0] - slopes @ mean), *map(float, slopes))
