"""One gallery image as an answer: what is known of it, why it is there, what a page shows of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from ..images.pictures import Picture, rgb_of
from ..images.reading import ImageError
from ..metrics.report import Distance
from ..reporting.answer_page import PageAnswer, data_of
from .parts import Part

UNREAD = "cannot be read any more"


@dataclass(frozen=True)
class Match:
    """One gallery image as an answer to a query.

    Attributes:
        rank: 1 for the first.
        path: of the image; "" where it came as no file.
        place: of the image in its gallery, from 0.
        distance: by which the list is ranked.
        distances: by the name of each: global, reconstruction, fused.
        probability: that the image shows the person of the query; None without a calibration.
        verdict: of the first image "match", "unsure" or "nobody", of the others "match", "unsure"
            or "other", see `calibration.verdict_of`; "unsure" without a calibration.
        metadata: what is known of the image.
        same_picture: whether it is the query itself, the same file or the same pixels.
        picture: what shows its pixels: its path, or a copy of it.
    """

    rank: int
    path: str
    place: int
    distance: float
    distances: Mapping[Distance, float]
    probability: float | None
    verdict: str
    metadata: Mapping[str, Any]
    same_picture: bool
    picture: Picture = field(repr=False, compare=False)
    _explain: Callable[[], Image.Image] = field(repr=False, compare=False)
    _parts: Callable[[], tuple[Part, ...]] = field(repr=False, compare=False)
    _lost: Callable[[], str] = field(repr=False, compare=False)

    def explain(self) -> Image.Image:
        """Why the image is as near as it is: a picture, see docs/explanation.md.

        Its rival in the picture is the nearest image of another identity or, where identities are
        not known, the next best answer.

        Raises:
            OSError: a picture is no longer there, or no longer what it was.
        """
        return self._explain()

    def parts(self) -> tuple[Part, ...]:
        """What the reconstruction distance is the sum of, one part for each column of the query.

        Raises:
            OSError: a picture is no longer there, or no longer what it was.
        """
        return self._parts()

    def plain(self) -> dict[str, Any]:
        """What is known, as plain values."""
        names = ("rank", "path", "distance", "distances", "probability", "verdict", "metadata")
        values = {name: getattr(self, name) for name in (*names, "same_picture")}
        return {**values, "distances": dict(self.distances), "metadata": dict(self.metadata)}

    def page(self, kind: Distance, explained: bool) -> PageAnswer:
        """What a page shows of it; without a picture where that is lost, and says so.

        Args:
            kind: the distance of its rank.
            explained: whether it is explained.
        """
        lost = self._lost()
        image = "" if lost else shown(self.picture)
        notes = ["the query itself"] if self.same_picture else []
        notes += [] if image else [f"picture {lost or UNREAD}"]
        reason = ""
        if explained and image:
            with contextlib.suppress(ImageError):  # the query's picture is lost
                reason = data_of(self.explain(), None)
        return PageAnswer(
            {kind: self.rank},
            self.path,
            image,
            {name: self.distances[name] for name in self.distances},
            self.probability,
            self.verdict if self.probability is not None else "",
            dict(self.metadata),
            reason,
            note=", ".join(notes),
        )


def shown(picture: Picture) -> str:
    """A picture as a page holds it; "" where its file cannot be read any more."""
    try:
        return data_of(rgb_of(picture))
    except ImageError:
        return ""
