"""One HTML page of ranked lists: it holds its pictures and needs no network, no server, no folder.

The page itself is answer_page.html beside this file; here it gets its data.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

TEMPLATE = Path(__file__).with_suffix(".html")
PLACE = "{{DATA}}"
LARGEST = (192, 384)  # width and height of a picture in the page
QUALITY = 80  # of WebP, which takes half of what JPEG takes


@dataclass(frozen=True)
class PageAnswer:
    """A gallery image in a list.

    Attributes:
        ranks: from 1, by the name of each distance; by one whose name is missing, the rank is not
            known.
        path: shown below it.
        image: see `data_of`; "" where there is none.
        distances: by the name of each.
        probability: that it shows the person; None where that is not known.
        verdict: in a word.
        metadata: shown below it.
        reason: the picture that explains it, see `data_of`; "" without one.
        right: whether it does show the person; None where that is not known.
        note: what else is said of it.
    """

    ranks: Mapping[str, int]
    path: str
    image: str
    distances: Mapping[str, float]
    probability: float | None = None
    verdict: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    right: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class PageQuery:
    """A query with its list.

    Attributes:
        path: shown below it.
        image: see `data_of`; "" where there is none.
        in_gallery: probability that the gallery shows the person; None where not known.
        answers: nearest first.
        note: what else is said of it.
        group: the heading that it stands under; "" for none.
    """

    path: str
    image: str
    in_gallery: float | None
    answers: Sequence[PageAnswer]
    note: str = ""
    group: str = ""


def data_of(image: Image.Image, largest: tuple[int, int] | None = LARGEST) -> str:
    """An image as a page holds it, made smaller where it exceeds `largest` (width, height)."""
    image = image.convert("RGB")
    if largest is not None:
        image.thumbnail(largest, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def page_of(
    title: str,
    about: str,
    kind: str,
    kinds: Sequence[str],
    queries: Sequence[PageQuery],
    length: int | None = None,
    notes: Sequence[str] = (),
) -> str:
    """A page.

    Args:
        title, about: its heading and what stands below it.
        kind: the distance by which lists are ranked.
        kinds: all distances, which the reader can sort by.
        queries: with their lists.
        length: by each distance the images up to this rank are shown, and behind them the first
            right one where none of them is; None: all.
        notes: paragraphs that the reader can open.
    """
    shown = [asdict(query) for query in queries]
    for answer in (one for query in shown for one in query["answers"]):
        # In a browser a number has 53 bits, and a long one would become another.
        answer["metadata"] = {name: str(value) for name, value in answer["metadata"].items()}
    plain = {
        "title": title,
        "about": about,
        "notes": list(notes),
        "kind": kind,
        "kinds": list(kinds),
        "length": length,
        "queries": shown,
    }
    # Nothing in a name may end the script that the data lie in.
    data = json.dumps(plain, allow_nan=False).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace(PLACE, data)
