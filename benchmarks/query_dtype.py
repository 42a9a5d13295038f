"""How far is a search from itself when only the query goes through the network in bfloat16?

    python -m benchmarks.query_dtype --test-set PartialiLIDS DATASETS.ROOT path/to/the/data

The gallery is that of a network in float32 in every row, as an index that was made so. Every
distance of every query to every gallery image is compared, and the ranked lists that they give.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.bench import commit, report
from partialreid.data.catalogue import load_dataset
from partialreid.engine.configuration import model_config
from partialreid.keys.released_model import RELEASED
from partialreid.metrics.ranking import Array
from partialreid.search.partial_reid import AnyGallery, PartialReID
from partialreid.search.ranking import ranked

KINDS = ("global", "reconstruction", "fused")
DTYPE = "MODEL.INFERENCE_DTYPE"
# All gallery images are compared, and not those that a shortlist of other numbers holds.
WHOLE = ("TEST.DSR.SHORTLIST", "none")


def distances(model: PartialReID, queries: list[str], gallery: AnyGallery) -> dict[str, Array]:
    """Distances (Q, G) by the name of each, gallery images in their own order."""
    embedded = model.extractor.of_whole(gallery.whole).every(queries)
    found = ranked(embedded.images(), gallery, model.cfg.TEST.DSR, len(gallery))
    order = found.places.argsort(1)
    return {kind: found.distances[kind].gather(1, order).double().cpu().numpy() for kind in KINDS}


def compared(ours: Array, exact: Array, people: tuple[Array, Array]) -> dict[str, float]:
    """How far distances (Q, G) are from exact ones, and what that does to ranked lists.

    Args:
        ours, exact: both.
        people: identities of the queries (Q,) and of the gallery (G,).
    """
    off, (asked, shown) = np.abs(ours - exact), people
    first, wanted = ours.argmin(1), exact.argmin(1)
    two = np.sort(exact, axis=1)[:, :2]
    return {
        "mean difference": float(off.mean()),
        "99 % below": float(np.quantile(off, 0.99)),
        "largest": float(off.max()),
        "median lead of the first": float(np.median(two[:, 1] - two[:, 0])),
        "first answers that change, %": 100 * float((first != wanted).mean()),
        "Rank-1": 100 * float((shown[first] == asked).mean()),
        "Rank-1, float32": 100 * float((shown[wanted] == asked).mean()),
    }


def measure(model: str, test_set: str, keys: list[str]) -> list[dict[str, Any]]:
    """A row for each distance of a test set.

    Args:
        model: as `PartialReID.load` takes it.
        test_set: its name; no query and gallery image are of one camera and one person.
        keys: config keys and values one after another.
    """
    data = load_dataset(model_config(model, keys), test_set)
    queries, files = ([item[0] for item in part] for part in (data.query, data.gallery))
    people = tuple(np.array([item[1] for item in part]) for part in (data.query, data.gallery))
    exact = PartialReID.load(model, *keys, *WHOLE, DTYPE, "float32")
    half = PartialReID.load(model, *keys, *WHOLE, DTYPE, "bfloat16")
    gallery = exact.gallery(files)
    wanted, found = (distances(one, queries, gallery) for one in (exact, half))
    return [
        {"distance": kind, **compared(found[kind], wanted[kind], (people[0], people[1]))}
        for kind in KINDS
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=RELEASED, help="a model with its config")
    parser.add_argument("--test-set", default="SyntheticPartial", metavar="NAME")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE")
    args = parser.parse_args(arguments)
    report(
        "query_dtype",
        f"queries of {args.test_set} in bfloat16, its gallery in float32, by {args.model}",
        measure(args.model, args.test_set, args.opts),
        commit=commit(),
    )


if __name__ == "__main__":
    main()
