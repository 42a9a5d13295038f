"""Reading images with errors that name the file.

A worker of a DataLoader that meets a broken file reports what the decoder said, not which file it
was. `read_image` adds the path; `check_images` finds all broken files of a list at once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastreid.data import data_utils
from PIL import Image

from .image_list import Item, name_some
from .progress import progress


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read one image as FastReID does, always with three channels.

    FastReID keeps the channels of the file; a palette, an alpha channel or CMYK then fails later
    or has wrong colours. RGB and grey files, which all published sets consist of, come out equal.

    Returns:
        An RGB image, turned as its EXIF orientation says.

    Raises:
        OSError: the file is absent, truncated or not an image; the message names it.
    """
    try:
        return data_utils.read_image(os.fspath(path), format="RGB")
    except Exception as error:  # the decoders raise at least six different types
        reason = str(error) or type(error).__name__
        raise OSError(f'cannot read the image "{os.fspath(path)}": {reason}') from error


def check_images(items: Sequence[Item]) -> None:
    """Decode every image of a list once, to find the broken ones before long work.

    It costs a full decoding: about a second per thousand person images. Call it for small sets;
    elsewhere `read_image` names the file when its turn comes.

    Raises:
        OSError: images cannot be read; the message counts them, names the first ones and says
            what is wrong with the first.
    """
    broken: list[str] = []
    first: OSError | None = None
    for path, *_ in progress(items, len(items), "checking images", "images"):
        try:
            read_image(path)
        except OSError as error:
            broken.append(path)
            first = first or error
    if first is not None:
        raise OSError(
            f"{len(broken)} of {len(items)} images cannot be read: {name_some(broken)}. "
            f"The first: {first}. Replace these files or fetch the data set again."
        ) from first
