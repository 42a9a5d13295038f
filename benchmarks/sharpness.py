"""How much of a person's feature is left where the image has fewer pixels?

    python -m benchmarks.sharpness ours=logs/reconstruction/model_final.pth \
        dsr=logs/dsr_long/model_final.pth --keys DATASETS.ROOT path/to/the/data

Images of a training set, with which no published row is measured, and no label: each is compared
with itself at a part of its width and height, by the feature of the global distance. A network that
has learnt to take blur for something else loses it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.bench import commit, report
from partialreid.data.catalogue import load_dataset
from partialreid.images.reading import read_image
from partialreid.images.shrinking import shrunk
from partialreid.runtime.errors import user_errors
from partialreid.search.partial_reid import PartialReID

SHARES = (0.75, 0.5, 0.35)


def measure(
    name: str, model: PartialReID, images: Sequence[Image.Image], shares: Sequence[float]
) -> dict[str, Any]:
    """For each share the mean cosine of an image's feature with that of itself whole.

    In brackets of how many images, in per cent, the whole one is nearer to it than all others are.
    """
    row: dict[str, Any] = {"network": name}
    whole = model.embed(list(images)).features
    for share in shares:
        cosines = model.embed([shrunk(image, share) for image in images]).features @ whole.T
        own = 100 * float((cosines.argmax(1).cpu().numpy() == np.arange(len(images))).mean())
        row[f"{share:g} of each side"] = f"{float(cosines.diagonal().mean()):.2f} ({own:.0f} %)"
    return row


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", metavar="NAME=MODEL")
    parser.add_argument("--train-set", default="Market1501", metavar="NAME")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--keys", nargs="*", default=[], metavar="KEY VALUE")
    args = parser.parse_args(arguments)
    named = {name: path for name, _, path in (text.partition("=") for text in args.networks)}
    if len(named) < len(args.networks) or not all(named) or not all(named.values()):
        parser.error("networks are NAME=MODEL, each with a name of its own")
    with user_errors():
        models = {name: PartialReID.load(path, *args.keys) for name, path in named.items()}
        items = sorted(load_dataset(next(iter(models.values())).cfg, args.train_set).train)
        chosen = np.random.default_rng(0).permutation(len(items))[: args.images]
        images = [read_image(items[place][0]) for place in chosen]
        rows = [measure(name, model, images, SHARES) for name, model in models.items()]
    title = f"{len(images)} training images of {args.train_set} and themselves with fewer pixels"
    report("sharpness", title, rows, commit=commit())


if __name__ == "__main__":
    main()
