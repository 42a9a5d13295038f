"""Lists of images as FastReID keeps them: (path, identity, camera), their order, their use.

Pure Python. An evaluation reads two lists, the query and the gallery; this file finds the images
of a folder, puts lists into an order that does not depend on the file system, and says before
long work whether a query and a gallery can be evaluated together.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

Item = tuple[str, int | str, int | str]
"""Path of the image, identity, camera: numbers in test lists, names in FastReID's train lists."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
# Images that nothing here looks for. They are refused: left out, they would be missed in a gallery.
UNREAD_SUFFIXES = (
    *(".jpe", ".jfif", ".jp2", ".j2k", ".jxl", ".gif", ".ppm", ".pgm", ".pnm", ".tga"),
    *(".heic", ".heif", ".avif"),
)
NAMED = 5  # an error names this many files and counts the others


def name_some(names: Sequence[str]) -> str:
    """The first few names, quoted, and how many more there are."""
    text = ", ".join(f'"{name}"' for name in names[:NAMED])
    return text if len(names) <= NAMED else f"{text} and {len(names) - NAMED} more"


def _reraise(error: OSError) -> None:
    raise error


def list_images(folder: str | os.PathLike[str]) -> list[str]:
    """Paths of the images in a folder and in the folders below it.

    Hidden files are left out: archives made on macOS hold a `._` twin of every image.

    Returns:
        Paths sorted by file name, then by path, so that a flat folder and one with a folder per
        identity come in the same order.

    Raises:
        OSError: the folder, or one below it, cannot be listed.
        ValueError: there are images in formats that are not read.
    """
    found, unread = [], []
    for parent, _, names in os.walk(folder, onerror=_reraise):
        for name in names:
            if not name.startswith("."):
                if name.lower().endswith(IMAGE_SUFFIXES):
                    found.append(os.path.join(parent, name))
                elif name.lower().endswith(UNREAD_SUFFIXES):
                    unread.append(os.path.join(parent, name))
    if unread:
        raise ValueError(
            f'{len(unread)} images in "{folder}" are not read, as only {" ".join(IMAGE_SUFFIXES)} '
            f"are: {name_some(sorted(unread))}. Convert them or move them away."
        )
    return sorted(found, key=lambda path: (os.path.basename(path), Path(path).as_posix()))


def sort_items(items: Sequence[Item]) -> list[Item]:
    """The list sorted by path: several of FastReID's data sets keep the file system's order."""
    return sorted(items, key=lambda item: item[0])


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
        there[os.path.abspath(path)].add(camid)
    own = [path for path, _, camid in query if there.get(os.path.abspath(path), set()) - {camid}]
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
