"""What the distances of a list mean, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..metrics.ranking import Array
from .calibration import Calibration, verdict_of


class ListVerdicts:
    """Probabilities and verdicts of the images of one list.

    Where identities are known, a list speaks of people: all images of an identity show the person
    of the query, or none does. So they have one probability, that of the nearest of them. Of the
    first identity its margin makes it larger, of all others smaller; and another identity is no
    likelier than that the first is wrong.

    Args:
        calibration: of the distance that the list is ranked by.
        distances: of all images of the list, nearest first.
        people: their identities; None where one is not known.

    Attributes:
        in_gallery: probability that the gallery shows the person of the query at all.
    """

    def __init__(self, calibration: Calibration, distances: Array, people: Sequence[Any]) -> None:
        self._calibration, self._distances, self._people = calibration, distances, people
        self._nearest: dict[Any, int] = {}  # the nearest image of each identity
        for place, person in enumerate(people):
            if person is not None:
                self._nearest.setdefault(person, place)
        self._first_two = list(self._nearest.values())[:2]
        self.in_gallery = calibration.in_gallery(*self._evidence(0))

    def probability(self, i: int) -> float:
        """That image i shows the person of the query."""
        distance, margin = self._evidence(i)
        found = self._calibration.probability(distance, margin)
        if margin is None or self._people[i] == self._people[self._first_two[0]]:
            return found
        first = self._calibration.probability(*self._evidence(self._first_two[0]))
        return min(found, 1 - first)

    def verdict(self, i: int) -> str:
        """The word on image i, see `calibration.verdict_of`."""
        return verdict_of(self.probability(i), None if i else self.in_gallery)

    def _evidence(self, i: int) -> tuple[float, float | None]:
        """The distance of i's identity and how much farther the nearest other one is.

        Where one of both is not known: the distance of image i, and None.
        """
        own = self._nearest.get(self._people[i], i)
        others = [place for place in self._first_two if place != own]
        if self._people[i] is None or not others:
            return float(self._distances[i]), None
        distance = float(self._distances[own])
        return distance, float(self._distances[others[0]]) - distance
