"""Whom the images of a folder show, read from the names of files and sub-folders. Pure Python.

An image that lies in a folder itself is named `<identity>[_c<camera>]_<anything>`: the identity
ends at the first `_`. In a sub-folder it shows the person whom the sub-folder is named after, and
its own name may say the camera alone, `[..._]c<camera>[_...]`. A camera is a number behind `c`,
`cam` or `camera`, in small letters or large ones, and may be followed by Market-1501's number of
the sequence, as in 0002_c1s1_000451_03.
"""

from __future__ import annotations

import os
import re
import unicodedata

from .lists import list_images

Labelled = tuple[str, str, int | str | None]
"""Path of an image, identity, and camera, None where nothing is said of it."""

_CAMERA = r"(?i:c|cam|camera)([0-9]+)(?i:s[0-9]+)?(?=_|$)"
_NAME = re.compile(rf"([^_]+)(?:_{_CAMERA})?(?:_.*)?", re.DOTALL)
_LATER = re.compile(rf"_{_CAMERA}")
_ANYWHERE = re.compile(rf"(?:^|_){_CAMERA}")


def named_images(folder: str) -> list[Labelled]:
    """The images of a folder and of the folders below it, in the order of `list_images`.

    Args:
        folder: whose sub-folders, if it has any, are named after people.

    Raises:
        OSError: the folder, or one below it, cannot be listed.
        ValueError: a name gives no identity, or says its camera where it is not looked for, or is
            not UTF-8; or images are in formats that are not read.
    """
    return [_labelled(path, folder) for path in list_images(folder)]


def plain_identity(text: str) -> str:
    """An identity in one spelling: file systems differ in how they store an é."""
    return unicodedata.normalize("NFC", text)


def _labelled(path: str, folder: str) -> Labelled:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = path.encode(errors="backslashreplace").decode()
        raise ValueError(
            f'the name of "{shown}" is not UTF-8, as names in old archives are: rename it.'
        ) from error
    first, *below = os.path.relpath(path, folder).split(os.sep)
    stem = os.path.splitext(os.path.basename(path))[0]
    if below:
        camera = _ANYWHERE.search(stem)
        return path, plain_identity(first), int(camera[1]) if camera else None
    match = _NAME.fullmatch(stem)
    if match is None:
        raise ValueError(
            f'no identity in the file name of "{path}": name it <identity>_<anything>, or '
            "<identity>_c<camera>_<anything>, or put it into a sub-folder with the person's name."
        )
    identity, camera_text = match.groups()
    if camera_text is None and _LATER.search(stem):
        raise ValueError(
            f'the camera in the file name of "{path}" does not follow the identity, which ends at '
            "the first _: name it <identity>_c<camera>_<anything>, or put it into a sub-folder "
            "with the person's name."
        )
    return path, plain_identity(identity), None if camera_text is None else int(camera_text)
