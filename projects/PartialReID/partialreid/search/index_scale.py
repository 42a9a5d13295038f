"""By which scale an index takes its pictures, as its first ones say how high whole people are.

All pictures of an index, and all queries, are scaled alike: later pictures by the number of the
first ones. Where the gallery has become another one since, that is worth a word.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from ..data.size_batches import image_size
from ..data.whole_people import height_of_whole
from ..index.changes import Changes
from ..index.gallery import Index
from .extraction import Extractor
from .indexed_pictures import WHOLE

logger = logging.getLogger(__name__)
# What an index knows of itself: of how many pictures the number is.
MEASURED = "keep_ratio_whole_of"
# By how much the number may differ before it is worth a word, and of how many pictures of the
# gallery that is asked.
OTHER, ASKED = 0.1, 1000


def settled_whole(
    index: Index,
    files: Sequence[str],
    changed: Changes | None,
    unread: Collection[str],
    extractor: Extractor,
) -> float:
    """Height by width of whole people, by which an index scales its pictures.

    An index into which no picture has come, or of which none stays, measures those that come.

    Args:
        index: open for writing.
        files: of the gallery, those that can be read.
        changed: of these the new, changed and removed ones; None: the index is new.
        unread: names of files that cannot be read, of which the index keeps what it has.
        extractor: of the model of the index.

    Returns:
        0 where the model asks no gallery, or its few pictures say nothing.

    Raises:
        OSError: a picture cannot be read; there is no room.
    """
    if not extractor.needs_gallery:
        return 0.0
    replaced = []
    if changed is not None:
        replaced = [*changed.gone, *(name for name in changed.changed if name not in unread)]
    stay = len(index) - len(replaced)
    if not stay:
        if replaced:
            index.remove(replaced)  # before the number that they were scaled by
        whole = extractor.measured(files)
        index.tell({WHOLE: whole, MEASURED: len(files)})
        return whole
    whole, measured = float(index.about.get(WHOLE, 0.0)), int(index.about.get(MEASURED, 0))
    if len(files) >= 2 * measured or 2 * stay <= measured:
        _warn_of_others(index, files, whole, extractor)
    return whole


def _warn_of_others(index: Index, files: Sequence[str], whole: float, extractor: Extractor) -> None:
    """Log a warning where the gallery of now says another number than that of an index."""
    sizes = []
    for file in files[:: -(-len(files) // ASKED)]:
        try:
            sizes.append(image_size(file))
        except OSError:  # gone meanwhile: what extracts it says so
            continue
    now, fit = height_of_whole(sizes), extractor.proportions
    if not 1 - OTHER < (now or fit) / (whole or fit) < 1 + OTHER:
        logger.warning(
            f'the index "{index.path}" takes whole people to be {whole or fit:.2f} times as high '
            f"as wide, as its first pictures said, and the gallery of now says {now or fit:.2f}. "
            "Remove its folder and make it anew, so that all are scaled by that."
        )
