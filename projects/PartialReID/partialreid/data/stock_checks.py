"""Checks for images that FastReID's own data sets leave out or misread without a word.

Most of them find their images by a pattern such as `*.jpg`, so that a `.png` or a `.JPG` is left
out, of the gallery for instance, and two rows of one table no longer have the same gallery. Several
search the whole path for the identity, not the file name alone: below a folder such as `12_c3`
every image is then identity 12. They read one digit of the camera: `c12` is camera 1.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from fastreid.data.datasets.dukemtmcreid import DukeMTMC
from fastreid.data.datasets.market1501 import Market1501

from ..images.image_names import UNREAD_SUFFIXES, read_suffixes
from ..images.lists import Item, name_some

LISTED = ("AirportALERT", "cuhk03", "msmt17", "vehicleid", "veriwild")
"""Modules whose sets take their images from a list: what else lies in the folders is not theirs."""

CAMERAS = {Market1501: 6, DukeMTMC: 8}
"""Sets that read one digit of the camera, and the number of their cameras."""

NAME = re.compile(r"([-\d]+)_c(\d+)")


def published_range(kind: Any) -> str:
    """What to do with a number that the published set does not have."""
    return (
        f"{kind.__name__} is the published set: number your images within its range, or register "
        "a data set of your own."
    )


def anywhere_in_the_path(kind: Any, root: str) -> str:
    """What to do with a number that comes from a folder."""
    return (
        f"FastReID reads the identity of {kind.__name__} anywhere in the path, so that a folder "
        "above the images may be taken for it. Name the files as the set is published, and move "
        f'the data root "{root}" (DATASETS.ROOT, FASTREID_DATASETS) to a plain path.'
    )


def check_names(kind: Any, root: str, parts: Mapping[str, Sequence[Item]]) -> None:
    """Compare what was read with the file names alone.

    Args:
        kind: the class of the data set.
        root: the data root, for the message.
        parts: its lists by name.

    Raises:
        ValueError: an identity comes from a folder, or a camera has more digits than are read.
    """
    cameras = next((count for base, count in CAMERAS.items() if issubclass(kind, base)), None)
    for part, items in parts.items():
        if cameras is not None:
            for path, pid, camid in items:
                match = NAME.search(os.path.basename(path))
                if match is None or _number(pid) != int(match[1]):
                    raise ValueError(
                        f'{kind.__name__}: "{path}" was read as identity {_number(pid)}. '
                        + anywhere_in_the_path(kind, root)
                    )
                if _number(camid) != int(match[2]) - 1:
                    raise ValueError(
                        f'{kind.__name__}: camera {int(match[2])} of "{path}" is outside 1 to '
                        f"{cameras}. {published_range(kind)}"
                    )
        elif len({item[1] for item in items}) == 1:
            numbers = {re.split(r"\D", os.path.basename(p), maxsplit=1)[0] for p, *_ in items}
            if len(numbers) > 1:
                raise ValueError(
                    f"{kind.__name__}: all {len(items)} {part} images have the identity "
                    f"{items[0][1]}. {anywhere_in_the_path(kind, root)}"
                )


def _number(label: int | str) -> int:
    """The number in FastReID's label: of 12, market1501_12, market1501_test_12."""
    return int(str(label).rpartition("_")[2])


def check_files(kind: Any, data: Any, parts: Mapping[str, Sequence[Item]]) -> None:
    """Compare what was read with what lies in the folders.

    Args:
        kind: the class of the data set.
        data: the set itself, which may name its folders.
        parts: its lists by name.

    Raises:
        FileNotFoundError: images that a list names are absent.
        ValueError: images are left out for the ending of their names.
    """
    read: defaultdict[str, set[str]] = defaultdict(set)
    for items in parts.values():
        for path, *_ in items:
            folder, file = os.path.split(path)
            read[os.path.normpath(folder)].add(file)
    endings = {_ending(file) for files in read.values() for file in files} or {".jpg"}
    for part in parts:
        # A folder of which nothing was read is known by the set's attribute alone.
        if isinstance(own := getattr(data, f"{part}_dir", None), str):
            read[os.path.normpath(own)] |= set()
    absent, lost = [], []
    for folder, files in sorted(read.items()):
        there = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        absent += [os.path.join(folder, file) for file in sorted(files - there)]
        lost += [os.path.join(folder, file) for file in sorted(_left_out(there, files, endings))]
    if absent:
        raise FileNotFoundError(
            f"{kind.__name__}: {len(absent)} images that its lists name are absent: "
            f"{name_some(absent)}. Fetch them again, or take them off the list."
        )
    if lost and kind.__module__.rpartition(".")[2] not in LISTED:
        folders = Counter(os.path.dirname(path) for path in lost)
        counts = ", ".join(f'{count} in "{folder}"' for folder, count in folders.items())
        raise ValueError(
            f"{kind.__name__}: FastReID reads files that end in {' '.join(sorted(endings))} alone "
            f"and would leave out {len(lost)} images, {counts}: "
            f"{name_some([os.path.basename(path) for path in lost])}. Rename them to end in "
            f"{min(endings)}; they need no conversion, since no decoder goes by the name."
        )


def _ending(file: str) -> str:
    return os.path.splitext(file)[1]


def _left_out(there: set[str], read: set[str], endings: set[str]) -> set[str]:
    """Images of a folder that were not read for their ending.

    What differs from an image that was read in its ending alone belongs to it, as a mask may.
    """
    stems, suffixes = {os.path.splitext(file)[0] for file in read}, read_suffixes()
    return {
        file
        for file in there - read
        if _ending(file).lower() in suffixes.union(UNREAD_SUFFIXES)
        and _ending(file) not in endings
        and os.path.splitext(file)[0] not in stems
        and not file.startswith(".")
    }
