"""Lists of images as FastReID keeps them: (path, identity, camera), and their order.

Pure Python. The images of a folder are found, and lists put into an order that does not depend on
the file system.
"""

from __future__ import annotations

import os
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

    Hidden files are left out, as archives made on macOS hold a `._` twin of every image, and so
    are hidden folders, where file managers and notebooks keep copies. Links to folders are
    followed.

    Returns:
        Paths sorted by file name, then by path, so that a flat folder and one with a folder per
        identity come in the same order.

    Raises:
        OSError: the folder, or one below it, cannot be listed.
        ValueError: there are images in formats that are not read, or a link leads to a folder
            whose images are listed already.
    """
    found, unread, seen = [], [], set()
    for parent, folders, names in os.walk(folder, onerror=_reraise, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:
            raise ValueError(
                f'"{parent}" is another folder in "{folder}" once more: remove the link.'
            )
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
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
