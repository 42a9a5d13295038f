"""Which part of a query is kept when it is cut, and the folder of cut queries.

"window" is the recipe of Market1501-Partial in AlignedReID++ (Luo et al., AlignedReID++:
Dynamically matching local information for person re-identification, Pattern Recognition 2019): 60
to 90 % of the height at full width. Which part of the height is kept is not stated; our reading is
a window at a random position. The recipe resizes the cut image back to the full height; here it is
stored as cut, since the test transform resizes all images, and a test with images of any size must
see what was cut.

"any" cuts one side away, top, bottom, left or right, each as likely: the window touches the three
others, as where a person is half behind an edge or leaves the picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ..images.occlusion import SIDES
from ..images.random_numbers import HashRng, between, pick
from ..images.reading import read_image
from .queries import QUERY, Changed, Derivation, make_queries, relative_names, source_of

MIN_PERCENT, MAX_PERCENT = 60, 90
Box = tuple[int, int, int, int]


def _lengths(
    file_name: str, side: str, length: int, percent: tuple[int, int] = (MIN_PERCENT, MAX_PERCENT)
) -> tuple[int, int]:
    """The fewest and the most rows or columns that are kept of an image."""
    low, high = -(-length * percent[0] // 100), length * percent[1] // 100
    if not 0 < low <= high:
        raise ValueError(f'"{file_name}" is {length} pixels {side}: too small to be cut')
    return low, high


def cut_window(
    file_name: str, height: int, seed: int, percent: tuple[int, int] = (MIN_PERCENT, MAX_PERCENT)
) -> tuple[int, int]:
    """The rows of an image that are kept.

    Height and position are drawn uniformly from what is possible, with the bits of a hash of seed
    and file name as the only randomness: the window depends on no order and on no generator's
    version.

    Args:
        file_name: name of the file with its suffix, below the folder that holds all queries.
        height: rows of the full image.
        seed: DATASETS.DERIVED_SEED.
        percent: of the height that is kept, from and to.

    Returns:
        First row kept and the row after the last one.

    Raises:
        ValueError: no whole number of rows is a height in the range.
    """
    low, high = _lengths(file_name, "high", height, percent)
    digest = hashlib.sha256(f"{seed}:{file_name}".encode()).digest()
    first, second = (int.from_bytes(digest[i : i + 8], "big") for i in (0, 8))
    # A 64-bit number times n, divided by 2^64, is uniform over 0 .. n - 1.
    rows = low + (first * (high - low + 1) >> 64)
    top = second * (height - rows + 1) >> 64
    return top, top + rows


def cut_side(
    file_name: str, size: tuple[int, int], seed: int, percent: tuple[int, int]
) -> tuple[str, Box]:
    """The part of an image that is left when one of its sides is cut away.

    Args:
        file_name: name of the file with its suffix.
        size: (width, height) of the full image.
        seed: DATASETS.DERIVED_SEED.
        percent: of the height (top, bottom) or width (left, right) that is kept, from and to.

    Returns:
        The side that is lost, and what is kept as (left, top, right, bottom).

    Raises:
        ValueError: no whole number of rows or columns is in the range.
    """
    rng = HashRng(seed, "cut", file_name)
    side = pick(rng, SIDES)
    width, height = size
    upright = side in ("bottom", "top")
    length, word = (height, "high") if upright else (width, "wide")
    low, high = _lengths(file_name, word, length, percent)
    kept = int(between(rng, low, high + 1))
    return side, {
        "bottom": (0, 0, width, kept),
        "top": (0, height - kept, width, height),
        "right": (0, 0, kept, height),
        "left": (width - kept, 0, width, height),
    }[side]


def cut_queries(
    name: str, root: str, paths: Sequence[str], derivation: Derivation
) -> dict[str, str]:
    """Cut the queries of a data set once.

    Args:
        name: the derived set, for recipe and folder name.
        root: the data root; where it cannot be written, the cache folder takes its place.
        paths: the full queries, sorted.
        derivation: seed, sides and percent are used.

    Returns:
        Path of the cut image by path of the query.

    Raises:
        ValueError: a parameter is out of range, or an image is too small.
        OSError, RuntimeError: as `make_queries`.
    """
    derivation.check()
    seed, sides, percent = derivation.seed, derivation.sides, derivation.percent
    names = relative_names(paths)
    folder_name, source = f"{name}-{sides}-{percent[0]}-{percent[1]}-seed{seed}", QUERY
    if name == "Market1501Partial":
        source = f"Market-1501-v15.09.15/{QUERY}"
        if (sides, percent) == ("window", (MIN_PERCENT, MAX_PERCENT)):
            # Published numbers stand on this folder: name and recipe stay as they were.
            folder_name = f"Market-1501-Partial-seed{seed}"
    share = "height_percent" if sides == "window" else "one_side_percent"
    recipe = {
        "kind": name,
        "seed": seed,
        share: list(percent),
        "source": source_of(paths, names, source),
    }

    def change(path: str) -> Changed:
        image = read_image(path)
        if sides == "window":
            top, bottom = cut_window(names[path], image.height, seed, percent)
            box: Box = (0, top, image.width, bottom)
        else:
            _, box = cut_side(names[path], image.size, seed, percent)
        return Changed(image.crop(box), None, box)

    key = "boxes_left_top_right_bottom"
    return make_queries(root, folder_name, recipe, names, change, key, masks=False)
