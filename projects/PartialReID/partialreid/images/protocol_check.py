"""Whether a query and a gallery can be evaluated together, known before long work. Pure Python."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence

from .lists import Item, name_some


def check_protocol(
    name: str, query: Sequence[Item], gallery: Sequence[Item], hint: str = ""
) -> None:
    """Check that each query can be found in the gallery.

    A gallery image is a valid match of a query if it shows the same identity from another camera;
    images of the same identity and camera are dropped from a query's ranking.

    Args:
        name: the data set, for the message.
        query: items to look for.
        gallery: items to look in; distractors (identities without a query) are fine.
        hint: what the message adds, such as the folders that were read.

    Raises:
        ValueError: a list is empty, queries have no valid match, or would be their own; the first
            of them are named.
    """
    hint = f" {hint}" if hint else ""
    for part, items in (("query", query), ("gallery", gallery)):
        if not items:
            raise ValueError(f"{name}: the {part} is empty.{hint}")

    there: defaultdict[str, set[int | str]] = defaultdict(set)
    for path, _, camid in gallery:
        there[os.path.realpath(path)].add(camid)
    # A link to a file is that file: query/ is often made of links into gallery/.
    own = [path for path, _, camid in query if there.get(os.path.realpath(path), set()) - {camid}]
    if own:
        raise ValueError(
            f"{name}: {len(own)} of {len(query)} queries lie in the gallery too, under another "
            f"camera, where they would find themselves: {name_some(own)}. Take them off one of the "
            f"lists.{hint}"
        )

    cameras: defaultdict[int | str, set[int | str]] = defaultdict(set)
    for _, pid, camid in gallery:
        cameras[pid].add(camid)
    lost = [path for path, pid, camid in query if not cameras.get(pid, set()) - {camid}]
    if lost:
        raise ValueError(
            f"{name}: {len(lost)} of {len(query)} queries have no valid match in the gallery "
            f"(an image of the same identity from another camera): {name_some(lost)}.{hint}"
        )
