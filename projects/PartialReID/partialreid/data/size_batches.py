"""Batches of images of different sizes: each batch holds one size.

Images are put in the order of their sizes, so that equal ones are neighbours, and batches end where
the size changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ..images.lists import Item, is_pipe
from ..images.reading import TURN, turn_of
from ..runtime.progress import progress

Size = tuple[int, int]
# What makes an image upright that is stored on its side.
_FROM_ITS_SIDE = (TURN.TRANSPOSE, TURN.ROTATE_270, TURN.TRANSVERSE, TURN.ROTATE_90)


def image_size(path: str) -> Size:
    """Height and width of the image that `read_image` makes of a file, mostly from its header.

    Raises:
        OSError: the file is absent or not an image; the message names it.
    """
    try:
        if is_pipe(path):
            raise ValueError("it is a pipe")
        with Image.open(path) as image:
            # Pillow turns TIFF files by itself; of others it gives the size before turning.
            turned = image.format != "TIFF" and turn_of(image) in _FROM_ITS_SIDE
            width, height = image.size
    except Exception as error:  # as in read_image
        reason = str(error) or type(error).__name__
        raise OSError(f'cannot read the image "{path}": {reason}') from error
    return (width, height) if turned else (height, width)


def image_sizes(items: Sequence[Item]) -> list[Size]:
    """The `image_size` of each item of a list.

    Raises:
        OSError: as `image_size`.
    """
    counted = progress(items, len(items), "reading image sizes", "images")
    return [image_size(path) for path, *_ in counted]


def order_by_size(items: Sequence[Item], sizes: Sequence[Size]) -> tuple[list[Item], list[Size]]:
    """Items in the order of their sizes, those of one size in the order they have.

    The order of a gallery decides between equal distances, such as those of all images that are
    not reconstructed, so that a gallery of several sizes ranks these by size first.

    Args:
        items: queries or gallery.
        sizes: of the tensor of each.

    Returns:
        The items and their sizes in that order.
    """
    order = sorted(range(len(items)), key=sizes.__getitem__)
    return [items[i] for i in order], [sizes[i] for i in order]


def size_batches(
    indices: Sequence[int], sizes: Sequence[Size], batch_size: int, pixels: int
) -> list[list[int]]:
    """Cut neighbouring images into batches of one size.

    Args:
        indices: the images of this process, in order.
        sizes: of all images.
        batch_size: the most images in a batch.
        pixels: the most pixels in a batch; an image that has more is a batch alone.
    """
    batches: list[list[int]] = []
    for index in indices:
        height, width = sizes[index]
        most = min(batch_size, max(1, pixels // (height * width)))
        if batches and sizes[batches[-1][0]] == sizes[index] and len(batches[-1]) < most:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
