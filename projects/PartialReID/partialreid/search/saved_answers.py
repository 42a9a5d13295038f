"""Answers as files: a page to look at, and the numbers as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..metrics.report import DISTANCES
from ..reporting.answer_page import PageQuery, page_of
from ..runtime.files import whole_files
from ..runtime.folders import new_folder

PAGE, NUMBERS = "index.html", "answers.json"


def require_own(folder: str) -> None:
    """Check that answers written into a folder take the place of answers alone.

    Raises:
        FileExistsError: it holds a page that no search has written.
    """
    page = os.path.join(folder, PAGE)
    if os.path.exists(page) and not os.path.exists(os.path.join(folder, NUMBERS)):
        raise FileExistsError(
            f'"{page}" is there, and no {NUMBERS} beside it, so that no search has written it: '
            "give another folder, or move the page."
        )


def save_answers(
    folder: str,
    kind: str,
    pages: Sequence[PageQuery],
    answers: Sequence[Mapping[str, Any]],
    record: Mapping[str, Any],
) -> None:
    """Write the page and the numbers of some answers, both or none.

    Args:
        folder: made if it is not there.
        kind: the distance by which they are ranked.
        pages: what the page shows of each.
        answers: the numbers of each, plain values.
        record: what the numbers depend on, plain values.

    Raises:
        OSError: the folder cannot be made or written to, or holds a page of somebody else.
    """
    require_own(folder)
    about = (
        f"{_counted(len(pages), 'query', 'queries')}, "
        f"{_counted(int(record['gallery']), 'picture', 'pictures')} in the gallery. Ranked by the "
        f"{kind} distance. Where it says why?, a click shows what the distance is made of."
    )
    shown = page_of("Who is it?", about, kind, DISTANCES, pages)
    said = {"answers": list(answers), "run": dict(record)}
    numbers = json.dumps(said, indent=2, allow_nan=False)
    paths = (os.path.join(folder, name) for name in (PAGE, NUMBERS))
    with new_folder(folder), whole_files(*paths) as files:
        for file, text in zip(files, (shown, f"{numbers}\n"), strict=True):
            file.write(text.encode("utf-8"))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
