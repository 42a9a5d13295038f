"""The folder of small queries: people who are far away, with fewer pixels than those of a gallery.

An image of a person has as many pixels as the person is near. Where a network is trained on images
that were all enlarged by one factor, it can take any other sharpness for something else, which sets
whose images have one size do not show.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..images.random_numbers import HashRng, between
from ..images.reading import read_image
from ..images.shrinking import shrunk
from .queries import QUERY, Changed, Derivation, make_queries, relative_names, source_of


def small_share(file_name: str, seed: int, percent: tuple[int, int]) -> float:
    """The share of its width and height that an image is shrunk to.

    Args:
        file_name: name of the file with its suffix.
        seed: DATASETS.DERIVED_SEED.
        percent: of both sides that is left, from and to.
    """
    return between(HashRng(seed, "small", file_name), *percent) / 100


def small_queries(
    name: str, root: str, paths: Sequence[str], derivation: Derivation
) -> dict[str, str]:
    """Shrink the queries of a data set once.

    Args:
        name: the derived set, for recipe and folder name.
        root: the data root; where it cannot be written, the cache folder takes its place.
        paths: the full queries, sorted.
        derivation: seed and size are used.

    Returns:
        Path of the small image by path of the query.

    Raises:
        ValueError: a parameter is out of range.
        OSError, RuntimeError: as `make_queries`.
    """
    derivation.check()
    seed, percent = derivation.seed, derivation.size
    names = relative_names(paths)
    recipe = {
        "kind": name,
        "seed": seed,
        "size_percent": list(percent),
        "source": source_of(paths, names, QUERY),
    }

    def change(path: str) -> Changed:
        image = shrunk(read_image(path), small_share(names[path], seed, percent))
        return Changed(image, None, image.size)

    folder_name = f"{name}-{percent[0]}-{percent[1]}-seed{seed}"
    key = "sizes_width_height"
    return make_queries(root, folder_name, recipe, names, change, key, masks=False)
