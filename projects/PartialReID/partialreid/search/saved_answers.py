"""Answers as files: a page to look at, and the numbers as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..metrics.report import DISTANCES
from ..reporting.answer_page import PageQuery, write_page
from ..runtime.files import write_json

PAGE, NUMBERS = "index.html", "answers.json"


def save_answers(
    folder: str,
    kind: str,
    pages: Sequence[PageQuery],
    answers: Sequence[Mapping[str, Any]],
    record: Mapping[str, Any],
) -> None:
    """Write the page and the numbers of some answers.

    Args:
        folder: made if it is not there.
        kind: the distance by which they are ranked.
        pages: what the page shows of each.
        answers: the numbers of each, plain values.
        record: what the numbers depend on, plain values.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OSError(
            f'the folder "{folder}" cannot be made ({error.strerror}): name another for the '
            "answers."
        ) from error
    write_json(os.path.join(folder, NUMBERS), {"answers": list(answers), "run": dict(record)})
    about = (
        f"{_counted(len(pages), 'query', 'queries')}, "
        f"{_counted(int(record['gallery']), 'picture', 'pictures')} in the gallery. Ranked by the "
        f"{kind} distance. Where it says why?, a click shows what the distance is made of."
    )
    write_page(os.path.join(folder, PAGE), "Who is it?", about, kind, DISTANCES, pages)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
