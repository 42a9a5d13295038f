"""How much of a person do the queries of a test set show, as far as their proportions say?

    python -m benchmarks.proportions PartialREID PartialiLIDS Market1501Partial \
        --keys DATASETS.ROOT path/to/the/data

Height by width of the images, of queries and gallery, and what the first are of the second: people
who are cut off above or below leave a flatter image, those who are cut off at the side a narrower
one. Nobody's identity is read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.bench import commit, report
from partialreid.data.catalogue import load_dataset
from partialreid.data.size_batches import image_size
from partialreid.engine.configuration import model_config
from partialreid.keys.released_model import RELEASED
from partialreid.runtime.errors import user_errors

PLACES = (10, 50, 90)


def measure(name: str, queries: Sequence[Any], gallery: Sequence[Any]) -> dict[str, str]:
    """Height by width at the 10th, 50th and 90th per cent of the images, and queries by gallery.

    Args:
        name: of the test set.
        queries, gallery: its images, (path, identity, camera).
    """
    theirs, whole = (np.percentile(proportions(items), PLACES) for items in (queries, gallery))
    return {
        "set": name,
        "height by width of queries": " ".join(f"{x:.2f}" for x in theirs),
        "of the gallery": " ".join(f"{x:.2f}" for x in whole),
        "queries by gallery": " ".join(f"{x:.2f}" for x in theirs / whole[1]),
    }


def proportions(items: Sequence[Any]) -> list[float]:
    """Height by width of each image, as it lies: upright, whatever its file says of a rotation."""
    return [height / width for height, width in (image_size(path) for path, *_ in items)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", metavar="NAME")
    parser.add_argument("--keys", nargs="*", default=[], metavar="KEY VALUE")
    args = parser.parse_args(arguments)
    with user_errors():
        cfg = model_config(RELEASED, args.keys)
        sets = {name: load_dataset(cfg, name) for name in args.sets}
        rows = [measure(name, found.query, found.gallery) for name, found in sets.items()]
    report("proportions", f"at {PLACES} per cent of the images", rows, commit=commit())


if __name__ == "__main__":
    main()
