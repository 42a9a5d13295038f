"""Two pictures and how far apart they are, with all that the distance is the sum of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from PIL import Image

from ..metrics.report import Distance
from .answers import Answer
from .calibration import verdict_of
from .parts import Part


@dataclass(frozen=True)
class Pair:
    """A query and one gallery image, compared.

    Attributes:
        query, gallery: paths of both; "" where one came as no file.
        distance: by which the model ranks.
        distances: by the name of each: global, reconstruction, fused.
        lam: lambda; fused is (1 - lambda) * global + lambda * reconstruction.
        probability: that both show one person; None without a calibration.
        verdict: "match", "unsure" or "other", from the probability; "unsure" without one.
        parts: of the reconstruction distance, one for each column of the query. They are computed
            in float64, and their shares sum to the distance but for the rounding of its float32.
    """

    query: str
    gallery: str
    distance: float
    distances: Mapping[Distance, float]
    lam: float
    probability: float | None
    verdict: str
    parts: tuple[Part, ...] = field(repr=False)
    _explain: Callable[[], Image.Image] = field(repr=False, compare=False)

    def explain(self) -> Image.Image:
        """Why they are as far apart as they are: a picture, see docs/explanation.md.

        Raises:
            OSError: a picture is no longer where it was.
        """
        return self._explain()

    def plain(self) -> dict[str, Any]:
        """What is known, as plain values."""
        names = ("query", "gallery", "distance", "probability", "verdict")
        return {
            **{name: getattr(self, name) for name in names},
            "distances": dict(self.distances),
            "lambda": self.lam,
            "parts": [asdict(part) for part in self.parts],
        }


def pair_of(answer: Answer, lam: float) -> Pair:
    """The pair of a query and the first image of its answer.

    Args:
        answer: of a gallery of one picture.
        lam: lambda of the fused distance.

    Raises:
        OSError: a picture is no longer where it was.
    """
    match = answer[0]
    return Pair(
        answer.query,
        match.path,
        match.distance,
        match.distances,
        lam,
        match.probability,
        # That of a search speaks of a gallery.
        "unsure" if match.probability is None else verdict_of(match.probability),
        match.parts(),
        match.explain,
    )
