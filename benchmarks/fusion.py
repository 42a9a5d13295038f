"""Does a fusion learnt from pairs find more than one lambda? A line of docs/choosing.md.

    python -m benchmarks.fusion CONFIG CHECKPOINT [KEY VALUE ...]
    python -m benchmarks.fusion CONFIG CHECKPOINT --held-out [KEY VALUE ...]

On CUHK03-val, whole, cut and hidden, three ways of making one distance of two are learnt on the
queries of half of the people and measured on those of the other half, and the other way round. With
`--held-out` they are learnt on the identities of Market-1501 that the network was not trained on,
whole, cut and hidden, and measured on all of CUHK03-val:

- one lambda, that of the best Rank-1;
- the log odds of "the same person" given the global distance plus those given the reconstruction
  distance, each by isotonic regression, which asks for no form, only for an order;
- logistic regression on both distances, whose result is a lambda that all pairs choose.

It writes docs/results/validation/fusion.json, or fusion_held_out.json, and prints the table of the
page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from tabulate import tabulate

from benchmarks.side_by_side import cells
from benchmarks.validation import (
    RESULTS,
    SETS,
    ValidationSet,
    add_network,
    check_all,
    config_of,
    record_of,
)
from partialreid.engine.checked_evaluation import evaluated
from partialreid.engine.inference import load_model
from partialreid.engine.remembered_outputs import RememberedOutputs
from partialreid.metrics.fusion import lambda_grid
from partialreid.metrics.lambda_selection import crossfit, lambda_curve, mean_curve
from partialreid.reporting.query_record import queries_of
from partialreid.runtime.errors import user_errors
from partialreid.runtime.files import write_json

Array = np.ndarray[Any, Any]
Fusion = Callable[[Array, Array], Array]
# Global and reconstruction distances (Q, G) of a set, and its identities and cameras.
Measured = tuple[Array, Array, Any]
TAUGHT_BY = ("held out", "held out, cut", "held out, hidden")
MEASURED_BY = ("CUHK03-val", "CUHK03-val, window", "CUHK03-val, cut", "CUHK03-val, hidden")
# Below this probability isotonic regression saw no match at all; its logarithm would be infinite.
LEAST = 1e-6
# Pairs of one probability stay in the order of their distances.
TIE = 1e-6


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--held-out", action="store_true", help="learn on people of Market-1501 in place of halves"
    )
    add_network(parser)
    args = parser.parse_intermixed_args(argv)
    path = RESULTS / f"fusion{'_held_out' if args.held_out else ''}.json"
    with user_errors():
        taught_by = [wanted for wanted in SETS if args.held_out and wanted.title in TAUGHT_BY]
        unseen = [wanted for wanted in SETS if wanted.title in MEASURED_BY]
        configs = {wanted.title: config_of(args, wanted) for wanted in (*taught_by, *unseen)}
        check_all(configs.values())
        first = configs[unseen[0].title]
        record: dict[str, Any] = {"run": record_of(first, args.weights)}
        model = RememberedOutputs(load_model(first, args.weights), 4e9, first.OUTPUT_DIR)

        def measured(wanted: ValidationSet) -> Measured:
            cfg = configs[wanted.title]
            _, evaluator = evaluated(cfg, model, cfg.DATASETS.TESTS[0])
            kinds = ("global", "reconstruction")
            near, rebuilt = (np.asarray(evaluator.distances[name]) for name in kinds)
            return near, rebuilt, evaluator.ids

        learnt: dict[str, Fusion] = {}
        if taught_by:
            lam, learnt = learnt_on([measured(wanted) for wanted in taught_by], first)
            record["run"]["learnt"] = {"lambda": lam, "on": [x.title for x in taught_by]}
        for wanted in unseen:
            near, rebuilt, ids = measured(wanted)
            fused = {way: fuse(near, rebuilt) for way, fuse in learnt.items()} or fusions(
                near, rebuilt, ids, configs[wanted.title]
            )
            record[wanted.title] = {way: queries_of(x, ids) for way, x in fused.items()}
            write_json(str(path), record)
        print(table(json.loads(path.read_text(encoding="utf-8"))))
    return 0


def learnt_on(sets: Sequence[Measured], cfg: Any) -> tuple[float, dict[str, Fusion]]:
    """Lambda, and the fusion of each way, learnt on all of these sets together.

    Args:
        sets: whose people the network was not trained on. Lambda has the best mean Rank-1 over
            them; the other ways learn from the pairs of all.
        cfg: config of the evaluation.
    """
    grid = lambda_grid(cfg.TEST.DSR.LAMBDA_STEP)
    lam = mean_curve([lambda_curve(near, rebuilt, *ids, grid) for near, rebuilt, ids in sets]).best
    parts = [pairs_of(*one, np.ones(len(one[0]), dtype=bool)) for one in sets]
    pairs = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return lam, {
        "one lambda": lambda near, rebuilt: (1 - lam) * near + lam * rebuilt,
        "isotonic": isotonic(*pairs),
        "logistic": logistic(*pairs),
    }


def fusions(near: Array, rebuilt: Array, ids: Any, cfg: Any) -> dict[str, Array]:
    """The fused distances (Q, G) of each way, each half's learnt on the other half.

    Args:
        near, rebuilt: (Q, G) global and reconstruction distances.
        ids: identities of queries and galleries, then their cameras.
        cfg: config of the evaluation.
    """
    of_lambda = crossfit(
        near, rebuilt, *ids, lambda_grid(cfg.TEST.DSR.LAMBDA_STEP), cfg.TEST.DSR.PROTOCOL_SEED
    )
    found = {"one lambda": of_lambda.fused}
    for way, learn in (("isotonic", isotonic), ("logistic", logistic)):
        fused = np.empty_like(near)
        for half in (0, 1):
            rows = of_lambda.half == half
            fuse = learn(*pairs_of(near, rebuilt, ids, ~rows))
            fused[rows] = fuse(near[rows], rebuilt[rows])
        found[way] = fused
    return found


def pairs_of(near: Array, rebuilt: Array, ids: Any, queries: Array) -> tuple[Array, Array, Array]:
    """What a fusion learns from: both distances of each pair, and whether it shows one person.

    Images of a query's own camera are left out of its ranking. Others that were not shortlisted
    have no reconstruction distance, only the one that stands behind all.

    Args:
        near, rebuilt, ids: as `fusions` takes them.
        queries: (Q,) which of them teach.
    """
    q_pids, g_pids, q_cameras, g_cameras = (np.asarray(x) for x in ids)
    same = q_pids[:, None] == g_pids
    own = same & (q_cameras[:, None] == g_cameras)
    taught = queries[:, None] & ~own & (rebuilt < rebuilt.max())
    return near[taught], rebuilt[taught], same[taught]


def isotonic(near: Array, rebuilt: Array, same: Array) -> Fusion:
    """Learn the sum of the log odds of a match, given each distance alone; negative: a distance."""
    learnt = [
        IsotonicRegression(increasing=False, out_of_bounds="clip").fit(x, same)
        for x in (near, rebuilt)
    ]

    def fuse(*distances: Array) -> Array:
        fused = TIE * sum(distances)
        for model, x in zip(learnt, distances, strict=True):
            probability = model.predict(x.ravel()).reshape(x.shape).clip(LEAST, 1 - LEAST)
            fused = fused - np.log(probability / (1 - probability))
        return fused

    return fuse


def logistic(near: Array, rebuilt: Array, same: Array) -> Fusion:
    """Learn the weights of both distances in the log odds of a match."""
    found = LogisticRegression(C=1e4, max_iter=1000).fit(np.stack([near, rebuilt], 1), same)
    a, b = found.coef_[0]
    return lambda x, y: -(a * x + b * y)


def table(record: dict[str, Any]) -> str:
    """Rank-1 / mAP of each way, the learnt ones with their difference from one lambda."""
    rows = [
        [title, *cells(list(ways.values()))] for title, ways in record.items() if title != "run"
    ]
    ways = next(found for title, found in record.items() if title != "run")
    return tabulate(rows, ["set", *ways], tablefmt="pipe", disable_numparse=True)


if __name__ == "__main__":
    sys.exit(main())
