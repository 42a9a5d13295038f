"""Bring an index up to date with the files of its gallery.

Shapes: B images of a chunk.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ..matching.extracted import Images
from ..runtime.progress import progress
from .gallery import Index
from .record import Record
from .selection import Value

# What an interruption costs at most, and what is in memory before it is written.
IMAGES_OF_A_COMMIT = 256
Extract: TypeAlias = "Callable[[list[str]], Iterable[tuple[list[int], Images]]]"
"""From paths of files to chunks: the places of B of them, and what was extracted. What cannot be
read is left out, or is an error."""


class Filled(NamedTuple):
    """What was done.

    Attributes:
        put: names of the images that were extracted.
        removed: names of those whose files are gone.
        unchanged: how many were left as they are.
        unreadable: files that could not be read, with the reason.
    """

    put: list[str]
    removed: list[str]
    unchanged: int
    unreadable: dict[str, str]


def fill(
    index: Index,
    names: Sequence[str],
    root: str,
    extract: Extract,
    metadata: Mapping[str, Mapping[str, Value]] | None = None,
    unread: Collection[str] = (),
) -> Filled:
    """Extract new and changed files, remove those that are gone, leave the others.

    It is committed every so many images: what was before an interruption is not extracted again.

    Args:
        index: open for writing.
        names: of all files of the gallery, below `root`, with "/" between folders.
        root: folder of the gallery.
        extract: the network.
        metadata: what is known of the images, by their names. It replaces what was known of those
            that it names; None leaves all.
        unread: names of files that cannot be read. What the index holds of them stays, as they may
            be shut for a while, as a disk is that is not mounted.

    Raises:
        ValueError: as `Index.put`.
        OSError: there is no room.
    """
    found = index.changes(names, root)
    if found.gone:
        index.remove(found.gone)
    if found.touched:
        index.restamp(found.touched)
    known = metadata or {}
    held = set(index.names).intersection(unread)
    if old := {name: known[name] for name in (*found.unchanged, *sorted(held)) if name in known}:
        index.set_metadata(old)
    stamps = {**found.new, **found.changed}
    wanted = [name for name in names if name in stamps and name not in unread]
    paths = [os.path.join(root, name) for name in wanted]
    put: list[str] = []

    def records() -> Iterator[Record]:
        for places, images in extract(paths) if paths else ():
            for number, place in enumerate(places):
                name = wanted[place]
                columns, weights = images.columns[number], images.weights[number]
                known_of_it = known.get(name)
                yield Record(
                    name, stamps[name], images.features[number], columns, weights, known_of_it
                )

    extracted = progress(records(), len(wanted), "images indexed", "images")
    while some := list(itertools.islice(extracted, IMAGES_OF_A_COMMIT)):
        index.put(some)
        put += [record.name for record in some]
        # After the first it is known how large an image is, and the long work begins.
        index.require_room(len(wanted) - len(put))
    return Filled(put, found.gone, len(found.unchanged), found.unreadable)
