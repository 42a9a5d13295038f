"""What a search gives back: for each query a ranked list, with distances, verdicts and reasons."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, overload

from ..images.pictures import Picture, picture_name
from ..index.selection import IDENTITY
from ..metrics.report import Distance
from ..reporting.answer_page import PageQuery
from .calibration import Calibration
from .gallery import Gallery
from .indexed_pictures import IndexedPictures
from .list_verdicts import ListVerdicts
from .match import UNREAD, Match, shown
from .ranking import Ranked
from .reasons import Reasons
from .same_picture import same_picture
from .saved_answers import save_answers

logger = logging.getLogger(__name__)


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
        lost: Callable[[], str],
    ) -> None:
        self.query, self.picture, self._lost = picture_name(picture), picture, lost
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
        """What a page shows of it, the first `explained` images with their explanations."""
        lost = self._lost()
        image = "" if lost else shown(self.picture)
        answers = [match.page(self.kind, match.rank <= explained) for match in self]
        note = "" if image else f"picture {lost or UNREAD}"
        return PageQuery(self.query, image, self.in_gallery, answers, note)

    def save(self, folder: str | os.PathLike[str], explained: int = 3) -> None:
        """Write index.html, a page to look at, and answers.json, the numbers, into a folder.

        Both are written, or none. A picture that is no longer there, or no longer what it was when
        it was extracted, is not shown; the page says so.

        Args:
            folder: made if it is not there.
            explained: how many images of a list are explained, the first ones.

        Raises:
            OSError: the folder cannot be made or written to.
        """
        Answers([self]).save(folder, explained)


class Answers(list[Answer]):
    """The answers to several queries, in the order of these."""

    def save(self, folder: str | os.PathLike[str], explained: int = 3) -> None:
        """Write one page of all, and their numbers; as `Answer.save`.

        Raises:
            OSError: the folder cannot be made or written to.
            ValueError: there is no answer.
        """
        if not self:
            raise ValueError("there is no answer to save.")
        pages = [answer.page(explained) for answer in self]
        images = [one.image for page in pages for one in page.answers]
        images += [page.image for page in pages]
        lost = images.count("")
        if lost:
            logger.warning(
                f"{lost} pictures of the answers are gone or have changed: the page does not show "
                "them"
            )
        into = os.path.expanduser(os.fspath(folder))
        plain = [answer.plain() for answer in self]
        save_answers(into, self[0].kind, pages, plain, self[0].record)


def answers_of(
    queries: Sequence[Picture],
    ranked: Ranked,
    gallery: Gallery | IndexedPictures,
    reasons: Reasons,
    kind: Distance,
    k: int,
    calibration: Calibration | None,
    record: Mapping[str, Any],
) -> Answers:
    """One answer for each query.

    Where identities are known, a list speaks of people: an answer is the surer the farther the
    nearest image of another identity is, among all that `ranked` holds; see `ListVerdicts`.

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
    found = Answers()
    for q, query in enumerate(queries):
        places = ranked.places[q].tolist()
        row = ranked.distances[kind][q].double().numpy()
        people = [gallery.metadata[place].get(IDENTITY) for place in places]
        said = ListVerdicts(known, row, people) if known else None
        matches = []
        for i, place in enumerate(places[:k]):
            matches.append(
                Match(
                    i + 1,
                    gallery.paths[place],
                    place,
                    float(row[i]),
                    {name: float(values[q, i]) for name, values in ranked.distances.items()},
                    said.probability(i) if said else None,
                    said.verdict(i) if said else "unsure",
                    gallery.metadata[place],
                    same_picture(
                        query, gallery.pictures[place], float(ranked.distances["global"][q, i])
                    ),
                    gallery.pictures[place],
                    partial(reasons.picture, q, _with_rival(i, places, people)),
                    partial(reasons.parts, q, place),
                    partial(gallery.lost, place),
                )
            )
        in_gallery = said.in_gallery if said else None
        found.append(Answer(query, kind, matches, in_gallery, record, partial(reasons.lost, q)))
    return found


def _with_rival(i: int, places: Sequence[int], people: Sequence[Any]) -> list[int]:
    """The place of image i, and of the nearest of another identity or else of the next best."""
    for j, person in enumerate(people):
        if people[i] is not None and person is not None and person != people[i]:
            return [places[i], places[j]]
    others = [place for j, place in enumerate(places) if j != i]
    return [places[i], *others[:1]]
