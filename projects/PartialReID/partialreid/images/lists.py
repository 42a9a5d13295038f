"""Lists of images as FastReID keeps them: (path, identity, camera), and their order.

The images of a folder are found, and lists put into an order that does not depend on the file
system.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from .image_names import UNREAD_SUFFIXES, is_image_inside, read_suffixes

logger = logging.getLogger(__name__)

Item = tuple[str, int | str, int | str]
"""Path of the image, identity, camera: numbers in test lists, names in FastReID's train lists."""

NAMED = 5  # an error names this many files and counts the others


def name_some(names: Sequence[str]) -> str:
    """The first few names, quoted, and how many more there are."""
    text = ", ".join(f'"{name}"' for name in names[:NAMED])
    return text if len(names) <= NAMED else f"{text} and {len(names) - NAMED} more"


def _reraise(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise PermissionError(
            f'the folder "{error.filename}" may not be opened by this user: have its rights '
            "changed, or move it away."
        ) from error
    raise error


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a named pipe, on which whoever opens it may wait for ever."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:  # a link that leads nowhere: whoever reads it says so
        return False


def list_images(folder: str | os.PathLike[str], *, with_unread: bool = False) -> list[str]:
    """Paths of the images in a folder and in the folders below it.

    Images are the files whose endings are those of a kind that Pillow reads, and those without an
    ending that it knows by their content. What else there is is left out, and a warning names it.
    So are hidden files, as archives made on macOS hold a `._` twin of every image, and hidden
    folders, where file managers and notebooks keep copies. Links to folders are followed.

    Args:
        folder: that is listed.
        with_unread: list images of kinds that Pillow does not read as well, for a caller who looks
            at each; else they are an error.

    Returns:
        Paths sorted by file name, then by path, so that a flat folder and one with a folder per
        identity come in the same order.

    Raises:
        OSError: the folder, or one below it, cannot be listed.
        ValueError: there are images of kinds that are not read, or a link leads to a folder whose
            images are listed already.
    """
    suffixes, seen = read_suffixes(), set[str]()
    found, unread, left_out = list[str](), list[str](), list[str]()
    for parent, folders, names in os.walk(folder, onerror=_reraise, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:
            raise ValueError(
                f'"{parent}" is another folder in "{folder}" once more: remove the link.'
            )
        seen.add(real)
        hidden = [name for name in folders if name.startswith(".")]
        folders[:] = [name for name in folders if name not in hidden]
        left_out += [os.path.join(parent, name, "") for name in hidden]
        for name in names:
            path, ending = os.path.join(parent, name), os.path.splitext(name)[1].lower()
            if name.startswith(".") or is_pipe(path):
                left_out.append(path)
            elif ending in suffixes or (not ending and is_image_inside(path)):
                found.append(path)
            else:
                (unread if ending in UNREAD_SUFFIXES else left_out).append(path)
    if unread and not with_unread:
        # Left out, they would be missed in a gallery.
        raise ValueError(
            f'{len(unread)} images in "{folder}" are of kinds that Pillow does not read: '
            f"{name_some(sorted(unread))}. Convert them or move them away."
        )
    if left_out:
        below = sorted(os.path.relpath(path, folder) for path in left_out)
        logger.warning(
            f'left out of "{folder}", as no images by their names: {len(below)} '
            f"({name_some(below)})"
        )
    return sorted(
        [*found, *unread], key=lambda path: (os.path.basename(path), Path(path).as_posix())
    )


def sort_items(items: Sequence[Item]) -> list[Item]:
    """The list sorted by path: several of FastReID's data sets keep the file system's order."""
    return sorted(items, key=lambda item: item[0])
