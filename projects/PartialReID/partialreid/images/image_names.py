"""Which files are images, by the endings of their names; where there is none, by their content."""

from __future__ import annotations

import warnings

from PIL import Image

# Pillow knows these names and makes no picture of them: weather, arrays, captions, films.
NO_PICTURES = ("BUFR", "GRIB", "HDF5", "IPTC", "MPEG")
# JPEG files of several pictures, which the decoder for JPEG reads.
READ_AS_ANOTHER = ("MPO",)
# Pictures that Pillow reads only with another package's help.
UNREAD_SUFFIXES = (".heic", ".heif", ".hif", ".jxl", ".dng", ".cr2", ".nef", ".arw")


def read_suffixes() -> set[str]:
    """Endings of images that Pillow reads, in small letters, with their dots."""
    # Asked each time: a program may teach Pillow more while it runs.
    known = Image.registered_extensions()
    kinds = {*Image.OPEN, *READ_AS_ANOTHER} - {*NO_PICTURES}
    return {suffix for suffix, kind in known.items() if kind in kinds}


def is_image_inside(path: str) -> bool:
    """Whether a file begins as an image does, whatever its name; the rest is not looked at."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size: it is not decoded
            Image.open(path).close()
    except Exception:  # the decoders raise at least six different types
        return False
    return True
