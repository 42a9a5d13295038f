"""Another person who stands before a person, cut out by an outline.

Where images have no masks the outline is drawn: a head, a body and legs where boxes of people have
them. Pure: arrays in, arrays out; the covered share is in the asked range, as that of the objects
of `occlusion` is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .occlusion import Occluded, hidden_count, image_size, lowest
from .random_numbers import Rng, between

# Head, body and legs as ellipses in a box of 1 x 1: middle and half axes, (x, y) each.
PARTS = (
    ((0.5, 0.11), (0.15, 0.1)),
    ((0.5, 0.36), (0.33, 0.23)),
    ((0.5, 0.74), (0.25, 0.27)),
)
# The half axes across vary from person to person, as a share of the above.
BREADTH = (0.8, 1.15)
# How high the box is against the image. Who is nearer to the camera is larger and stands lower: a
# person larger than the smallest one stands below the image's lower edge by a part of the
# difference, which is drawn.
HEIGHT = (0.8, 1.8)
# How often the way in from the side is halved to find the place.
HALVINGS = 8


def _person(
    height: int, width: int, box: tuple[float, float, float, float], breadth: float
) -> np.ndarray:
    """Field (H, W) that is at most 1 within the outline of a box: left, top, width, height."""
    left, top, box_width, box_height = box
    x = ((np.arange(width) + 0.5 - left) / box_width)[None, :]
    y = ((np.arange(height) + 0.5 - top) / box_height)[:, None]
    parts = []
    for (middle_x, middle_y), (half_x, half_y) in PARTS:
        across, down = (x - middle_x) / (half_x * breadth), (y - middle_y) / half_y
        parts.append(across * across + down * down)
    return np.minimum.reduce(parts)


def hide_behind_person(
    image: np.ndarray, other: np.ndarray, rng: Rng, share: Sequence[float]
) -> Occluded:
    """Put the person of another image before an image, coming in from the left or the right.

    Height and covered share are drawn; the person comes in so far that the outline covers it. Where
    the outline covers less in the middle of the image, it swells.

    Args:
        image: (H, W, 3) uint8 RGB, left as it is.
        other: image of any size, of a person from head to feet.
        rng: where height, breadth, side, share and place come from.
        share: least and greatest fraction of the image that is covered.

    Returns:
        The image behind the person, and what is still visible of it.

    Raises:
        ValueError: other arrays, or a share that no number of pixels makes up.
    """
    height, width = image_size(image)
    other_height, other_width = image_size(other)
    count = hidden_count(rng, share, height * width)
    scale, breadth = between(rng, *HEIGHT), between(rng, *BREADTH)
    tall = scale * height
    wide = tall * other_width / other_height
    top = (1 + rng.random() * (scale - HEIGHT[0])) * height - tall
    from_left = rng.random() < 0.5

    def box_at(way: float) -> tuple[float, float, float, float]:
        """The box outside of the image at 0, and in its middle at 1."""
        left = way * (width + wide) / 2 - wide
        return (left if from_left else width - wide - left), top, wide, tall

    near, far = 0.0, 1.0
    for _ in range(HALVINGS):
        way = (near + far) / 2
        covered = int((_person(height, width, box_at(way), breadth) <= 1).sum())
        near, far = (way, far) if covered < count else (near, way)
    # Exactly so many pixels: the last few are what the outline swells or shrinks by.
    box = box_at(far)
    hidden = lowest(_person(height, width, box, breadth), count)

    size = (max(1, round(wide)), max(1, round(tall)))
    person = Image.fromarray(other)
    if rng.random() < 0.5:
        person = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    seen = np.asarray(person.resize(size, Image.Resampling.BILINEAR))
    rows, columns = np.nonzero(hidden)
    # What swells over the edge of the box repeats it.
    from_rows = np.clip(rows - round(top), 0, size[1] - 1)
    from_columns = np.clip(columns - round(box[0]), 0, size[0] - 1)
    out = image.copy()
    out[rows, columns] = seen[from_rows, from_columns]
    return Occluded(out, ~hidden)
