"""Reading images: any kind of file as 8-bit RGB, and errors that name the file.

FastReID keeps the channels of a file and takes its numbers for 0 to 255: a grey image of 16 bits,
as thermal cameras write it, becomes white. `read_image` scales it. Of an image that FastReID reads
well, 8-bit RGB or grey, it gives the same pixels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..runtime.progress import progress
from .lists import Item, is_pipe, name_some

BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # tags of a TIFF file
WHITE_IS_ZERO = 0
ORIENTATION = 0x0112  # tag of EXIF
TURN = Image.Transpose
# What makes an image upright, by its orientation in EXIF; 1 is upright already.
TURNS = {
    2: TURN.FLIP_LEFT_RIGHT,
    3: TURN.ROTATE_180,
    4: TURN.FLIP_TOP_BOTTOM,
    5: TURN.TRANSPOSE,
    6: TURN.ROTATE_270,
    7: TURN.TRANSVERSE,
    8: TURN.ROTATE_90,
}
# In these formats Pillow gives 16-bit grey as 32-bit integers from 0 to 65535.
DEEP_FORMATS = ("PNG", "PPM")


class ImageError(OSError):
    """A file that cannot be read as an image."""


class MaskError(ValueError):
    """An image with which no mask goes: one of another size, or an image too small to be hidden."""


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read one image as 8-bit RGB.

    16-bit channels keep their high byte, so that grey and colour of equal depth come out equal;
    TIFF's 12 bits likewise. An alpha channel is dropped: of a transparent pixel the colour that
    the file stores is taken, as in FastReID. Of several frames the first is taken.

    Returns:
        An RGB image, turned as its EXIF orientation says.

    Raises:
        ImageError: an OSError that names the file. It is absent, truncated or not an image, or
            holds numbers whose black and white are not known (floating-point, 32-bit integers).
    """
    try:
        if is_pipe(path):
            raise ValueError("it is a pipe")
        with open(path, "rb") as file:
            return as_rgb(Image.open(file))
    except Exception as error:  # the decoders raise at least six different types
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, Image.DecompressionBombError):
            most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6  # at the half of it Pillow warns
            reason = f"it has more than {most} million pixels, which is all that Pillow reads"
        if isinstance(error, UnidentifiedImageError):  # which says what object it was read from
            reason = "cannot identify image file, as it is of no kind that Pillow reads"
        raise ImageError(
            f'cannot read the image "{os.fspath(path)}": {reason.rstrip(".")}. Replace the file, '
            "or leave it out."
        ) from error


def as_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as 8-bit RGB, turned as its EXIF orientation says; see `read_image`.

    Raises:
        ValueError: it holds numbers whose black and white are not known.
    """
    kind, tags = image.format, dict(getattr(image, "tag_v2", {}))
    image.load()
    turn = turn_of(image)
    image = image if turn is None else image.transpose(turn)
    upright = _eight_bits(image, kind, tags).convert("RGB")
    upright.info = {}  # its EXIF would have it turned again
    return upright


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What makes an image upright, as the orientation in its EXIF says; None where nothing has to.

    Pillow's `exif_transpose` also writes the EXIF anew, and gives up on a photo some other tag of
    which cannot be written. Here the orientation alone is read. What Pillow has turned by itself,
    a TIFF file once its pixels are loaded, has none left.
    """
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # EXIF in disorder: the image stays as it lies
        return None


def _eight_bits(image: Image.Image, kind: str | None, tags: Mapping[int, Any]) -> Image.Image:
    """The image with 8 bits a channel; Pillow's own conversion would cut off at 255."""
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in DEEP_FORMATS):
        (bits,) = tags.get(BITS_PER_SAMPLE, (16,))
        grey = np.asarray(image) >> (bits - 8)
        if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
            grey = 255 - grey
        return Image.fromarray(grey.astype(np.uint8))
    if image.mode in ("I", "F"):
        numbers = "32-bit integers" if image.mode == "I" else "floating-point numbers"
        raise ValueError(
            f"its pixels are {numbers}, of which it is not known what is black and what is white; "
            "save it with 8 or 16 bits a channel"
        )
    return image


class Unreadable(NamedTuple):
    """A file that cannot be read as an image.

    Attributes:
        path: of the file.
        reason: one line, which names it.
    """

    path: str
    reason: str


def unreadable(paths: Sequence[str]) -> list[Unreadable]:
    """The files that cannot be read; each is decoded once to find out.

    It costs a full decoding: about a second per thousand person images.
    """
    broken = []
    for path in progress(paths, len(paths), "checking images", "images"):
        try:
            read_image(path)
        except ImageError as error:
            broken.append(Unreadable(path, str(error)))
    return broken


def refuse_unreadable(broken: Sequence[Unreadable], total: int, what: str = "images") -> None:
    """Raise an error for files that cannot be read, if there are any.

    Args:
        broken: those files.
        total: how many there are, with those that can be read.
        what: what they are called.

    Raises:
        ImageError: counts them, names the first ones and says what is wrong with the first.
    """
    if broken:
        raise ImageError(
            f"{len(broken)} of {total} {what} cannot be read: "
            f"{name_some([one.path for one in broken])}. The first: {broken[0].reason}"
        )


def check_images(items: Sequence[Item]) -> None:
    """Decode every image of a list once, to find the broken ones before long work.

    Call it for small sets; elsewhere `read_image` names the file when its turn comes.

    Raises:
        ImageError: as `refuse_unreadable`.
    """
    refuse_unreadable(unreadable([path for path, *_ in items]), len(items))
