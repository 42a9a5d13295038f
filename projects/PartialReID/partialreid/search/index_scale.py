"""By which scale an index takes its pictures, as its first ones say how high whole people are.

All pictures of an index, and all queries, are scaled alike: later pictures by the number of the
first ones. Where the gallery has become another one since, that is worth a word.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..data.size_batches import image_size
from ..data.whole_people import height_of_whole
from ..index.changes import Changes
from ..index.gallery import Index
from .extraction import Extractor
from .indexed_pictures import WHOLE

logger = logging.getLogger(__name__)
# By how much the number may differ before it is worth a word, and of how many pictures of the
# gallery that is asked.
OTHER, ASKED = 0.1, 1000


def settled_whole(
    index: Index, files: Sequence[str], changed: Changes | None, extractor: Extractor
) -> float:
    """Height by width of whole people, by which an index scales its pictures.

    An index into which no picture has come, or of which none stays, measures those that come.

    Args:
        index: open for writing.
        files: of the gallery, those that can be read.
        changed: what has come and gone; None: the index is new.
        extractor: of the model of the index.

    Returns:
        0 where the model asks no gallery, or its few pictures say nothing.

    Raises:
        OSError: a picture cannot be read; there is no room.
    """
    if not extractor.needs_gallery:
        return 0.0
    gone = changed.gone if changed is not None else []
    if len(gone) == len(index):
        if gone:
            index.remove(gone)  # before the number that they were scaled by
        whole = extractor.measured(files)
        index.tell({WHOLE: whole})
        return whole
    whole = float(index.about.get(WHOLE, 0.0))
    if changed is not None and (changed.new or changed.changed):
        _warn_of_others(index, files, whole)
    return whole


def _warn_of_others(index: Index, files: Sequence[str], whole: float) -> None:
    """Log a warning where the gallery of now says another number than that of an index."""
    sizes = []
    for file in files[:: max(1, len(files) // ASKED)]:
        try:
            sizes.append(image_size(file))
        except OSError:  # gone meanwhile: what extracts it says so
            continue
    now = height_of_whole(sizes)
    if not now or (whole and 1 - OTHER < now / whole < 1 + OTHER):
        return
    taken = f"takes whole people to be {whole:.2f} times as high as wide" if whole else "is to fit"
    logger.warning(
        f'the index "{index.path}" {taken}, as its first pictures said, and the gallery of now '
        f"says {now:.2f}. Remove its folder and make it anew, so that all are scaled by that."
    )
