"""The folder of hidden queries: each behind a drawn object or a piece of another test image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..images.lists import Item
from ..images.occluder_shapes import TESTING
from ..images.occlusion import KINDS, check_share, hide_behind_piece, hide_behind_shape
from ..images.random_numbers import HashRng, pick
from ..images.reading import read_image
from .queries import (
    QUERY,
    Changed,
    Derivation,
    grouping_of,
    make_queries,
    relative_names,
    source_of,
)

# To be raised with every change that alters a pixel: folders of older drawings are then refused.
DRAWING_VERSION = 1
# Under which a recipe says who shows whom.
PEOPLE = "people_sha256"


def hidden_queries(
    name: str, root: str, query: Sequence[Item], gallery: Sequence[Item], derivation: Derivation
) -> dict[str, str]:
    """The queries of a set behind objects that are drawn or come from its other test images.

    Args:
        name: the derived set, for the folder's name.
        root: the data root.
        query: sorted items; a piece never shows the identity that it hides.
        gallery: sorted items.
        derivation: seed, kind and share are used.

    Returns:
        Path of the made image by path of the query.

    Raises:
        ValueError: pieces are asked for but all images show one identity.
        OSError, RuntimeError: as `make_queries`.
    """
    derivation.check()
    seed, kind, percent = derivation.seed, derivation.kind, derivation.share
    share = check_share([number / 100 for number in percent])
    paths = [path for path, *_ in query]
    names = relative_names(paths)
    recipe: dict[str, object] = {
        "kind": name,
        "drawing": DRAWING_VERSION,
        "seed": seed,
        "hidden_by": kind,
        "hidden_percent": list(percent),
        "source": source_of(paths, names, QUERY),
    }
    others = [*query, *gallery]
    if kind != "shapes":
        if len({pid for _, pid, _ in others}) < 2:
            raise ValueError(
                f"{name}: all test images show one identity, so that none can stand before another;"
                ' set DATASETS.DERIVED.KIND to "shapes".'
            )
        other_names = relative_names([path for path, *_ in others])
        others.sort(key=lambda item: other_names[item[0]])
        recipe["pieces_from"] = source_of([p for p, *_ in others], other_names, "query and gallery")
        # A label that is corrected changes whose piece may stand before whom.
        recipe[PEOPLE] = grouping_of(
            [other_names[p] for p, *_ in others], [x for _, x, _ in others]
        )
    identity = {path: pid for path, pid, _ in query}

    def change(path: str) -> Changed:
        rng = HashRng(seed, "occluded", names[path])
        image = np.asarray(read_image(path))
        by = pick(rng, KINDS) if kind == "mixed" else kind
        record: dict[str, object] = {"hidden_by": by}
        piece = None
        if by == "pieces":
            start = int(rng.random() * len(others))
            order = (others[(start + i) % len(others)] for i in range(len(others)))
            other = next(path_ for path_, pid, _ in order if pid != identity[path])
            piece = np.asarray(read_image(other))
            record["piece_of"] = other_names[other]
        try:
            if piece is None:
                result = hide_behind_shape(image, rng, share, TESTING)
            else:
                result = hide_behind_piece(image, piece, rng, share)
        except ValueError as error:
            raise ValueError(f'{name}: no part of "{path}" can be hidden: {error}.') from error
        record["hidden_share"] = round(1 - float(result.visible.mean()), 4)
        return Changed(Image.fromarray(result.image), result.visible, record)

    folder_name = f"{name}-{kind}-{percent[0]}-{percent[1]}-seed{seed}"
    return make_queries(
        root, folder_name, recipe, names, change, "queries", masks=True, later=(PEOPLE,)
    )
