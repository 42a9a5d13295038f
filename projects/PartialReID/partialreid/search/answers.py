"""What a search gives back: for each query a ranked list, with distances, verdicts and reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, overload

from PIL import Image

from ..images.pictures import Picture, picture_name, rgb_of
from ..metrics.report import Distance
from ..reporting.answer_page import PageAnswer, PageQuery, data_of
from .calibration import Calibration, margin_of, verdict_of
from .gallery import Gallery
from .indexed import IndexedGallery
from .parts import Part
from .ranking import Ranked
from .reasons import Reasons
from .saved_answers import save_answers

IDENTITY = "identity"  # the metadata that says whom a picture shows


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
        verdict: "match", "unsure" or "nobody", from the probability; "unsure" without one.
        metadata: what is known of the image.
        picture: what shows its pixels: its path, or the picture itself.
    """

    rank: int
    path: str
    place: int
    distance: float
    distances: Mapping[Distance, float]
    probability: float | None
    verdict: str
    metadata: Mapping[str, Any]
    picture: Picture = field(repr=False, compare=False)
    _explain: Callable[[], Image.Image] = field(repr=False, compare=False)
    _parts: Callable[[], tuple[Part, ...]] = field(repr=False, compare=False)

    def explain(self) -> Image.Image:
        """Why the image is as near as it is: a picture, see docs/explanation.md.

        Its rival in the picture is the nearest image of another identity or, where identities are
        not known, the next best answer.

        Raises:
            OSError: a picture is no longer where it was.
        """
        return self._explain()

    def parts(self) -> tuple[Part, ...]:
        """What the reconstruction distance is the sum of, one part for each column of the query.

        Raises:
            OSError: a picture is no longer where it was.
        """
        return self._parts()

    def plain(self) -> dict[str, Any]:
        """What is known, as plain values."""
        names = ("rank", "path", "distance", "distances", "probability", "verdict", "metadata")
        values = {name: getattr(self, name) for name in names}
        return {**values, "distances": dict(self.distances), "metadata": dict(self.metadata)}


class Answer(Sequence[Match]):
    """The ranked list of one query, nearest first.

    Attributes:
        query: path of the query; "" where it came as no file.
        picture: what shows its pixels.
        kind: the distance by which it is ranked.
        in_gallery: probability that the gallery shows the person at all; None without calibration.
        record: what the numbers depend on.
    """

    def __init__(
        self,
        picture: Picture,
        kind: Distance,
        matches: Sequence[Match],
        in_gallery: float | None,
        record: Mapping[str, Any],
    ) -> None:
        self.query, self.picture = picture_name(picture), picture
        self.kind, self.in_gallery, self.record = kind, in_gallery, record
        self._matches = tuple(matches)

    def __len__(self) -> int:
        return len(self._matches)

    @overload
    def __getitem__(self, index: int) -> Match: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Match]: ...

    def __getitem__(self, index: int | slice) -> Match | Sequence[Match]:
        return self._matches[index]

    def __repr__(self) -> str:
        first = f", first {self[0].path!r} at {self[0].distance:.4f}" if len(self) else ""
        return f"<Answer to {self.query!r}: {len(self)} images{first}>"

    def plain(self) -> dict[str, Any]:
        """What is known, as plain values."""
        matches = [match.plain() for match in self]
        return {"query": self.query, "in_gallery": self.in_gallery, "matches": matches}

    def page(self, explained: int) -> PageQuery:
        """What a page shows of it, the first `explained` images with their explanations.

        Raises:
            OSError: a picture is no longer where it was.
        """
        answers = [
            PageAnswer(
                {self.kind: match.rank},
                match.path,
                data_of(rgb_of(match.picture)),
                {name: match.distances[name] for name in match.distances},
                match.probability,
                match.verdict if match.probability is not None else "",
                dict(match.metadata),
                data_of(match.explain(), None) if match.rank <= explained else "",
            )
            for match in self
        ]
        return PageQuery(self.query, data_of(rgb_of(self.picture)), self.in_gallery, answers)

    def save(self, folder: str, explained: int = 3) -> None:
        """Write index.html, a page to look at, and answers.json, the numbers, into a folder.

        Raises:
            OSError: the folder cannot be made or written to, or a picture is no longer there.
        """
        save_every(folder, [self], explained)


def save_every(folder: str, answers: Sequence[Answer], explained: int = 3) -> None:
    """Several answers as one page; as `Answer.save`.

    Raises:
        OSError: the folder cannot be made or written to, or a picture is no longer there.
        ValueError: there is no answer.
    """
    if not answers:
        raise ValueError("there is no answer to save.")
    pages = [answer.page(explained) for answer in answers]
    plain = [answer.plain() for answer in answers]
    save_answers(folder, answers[0].kind, pages, plain, answers[0].record)


def answers_of(
    queries: Sequence[Picture],
    ranked: Ranked,
    gallery: Gallery | IndexedGallery,
    reasons: Reasons,
    kind: Distance,
    k: int,
    calibration: Calibration | None,
    record: Mapping[str, Any],
) -> list[Answer]:
    """One answer for each query.

    Where identities are known, a list speaks of people: an answer is the surer the farther the
    nearest image of another identity is, among all that `ranked` holds.

    Args:
        queries: the pictures of Q queries.
        ranked: their lists, as long as the matching went.
        gallery: that was searched.
        reasons: what explains them.
        kind: the distance that the lists are ranked by.
        k: how many images of a list are answers.
        calibration: of the model; of another distance it says nothing.
        record: what the numbers depend on.
    """
    known = calibration if calibration is not None and calibration.kind == kind else None
    found = []
    for q, query in enumerate(queries):
        places = ranked.places[q].tolist()
        row = ranked.distances[kind][q].double().numpy()
        people = [gallery.metadata[place].get(IDENTITY) for place in places]
        matches, in_gallery = [], None
        for i, place in enumerate(places[:k]):
            probability = None
            if known is not None:
                margin = margin_of(i, row, people)
                probability = known.probability(float(row[i]), margin)
                if i == 0:
                    in_gallery = known.in_gallery(float(row[i]), margin)
            matches.append(
                Match(
                    i + 1,
                    gallery.paths[place],
                    place,
                    float(row[i]),
                    {name: float(values[q, i]) for name, values in ranked.distances.items()},
                    probability,
                    "unsure" if probability is None else verdict_of(probability),
                    gallery.metadata[place],
                    gallery.pictures[place],
                    partial(reasons.picture, q, _with_rival(i, places, people)),
                    partial(reasons.parts, q, place),
                )
            )
        found.append(Answer(query, kind, matches, in_gallery, record))
    return found


def _with_rival(i: int, places: Sequence[int], people: Sequence[Any]) -> list[int]:
    """The place of image i, and of the nearest of another identity or else of the next best."""
    for j, person in enumerate(people):
        if people[i] is not None and person is not None and person != people[i]:
            return [places[i], places[j]]
    others = [place for j, place in enumerate(places) if j != i]
    return [places[i], *others[:1]]
