"""Does a fusion learnt from pairs find more than one lambda? A line of docs/choosing.md.

    python -m benchmarks.fusion CONFIG CHECKPOINT [KEY VALUE ...]

On CUHK03-val, whole, cut and hidden, three ways of making one distance of two are learnt on the
queries of half of the people and measured on those of the other half, and the other way round:

- one lambda, that of the best Rank-1;
- the log odds of "the same person" given the global distance plus those given the reconstruction
  distance, each by isotonic regression, which asks for no form, only for an order;
- logistic regression on both distances, whose result is a lambda that all pairs choose.

It writes docs/results/validation/fusion.json and prints the table of the page.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from tabulate import tabulate

from benchmarks.side_by_side import cells
from benchmarks.validation import RESULTS, SETS, add_network, config_of, record_of
from partialreid.engine.checked_evaluation import checked_model, evaluated
from partialreid.engine.remembered_outputs import RememberedOutputs
from partialreid.metrics.fusion import lambda_grid
from partialreid.metrics.lambda_selection import crossfit
from partialreid.reporting.query_record import queries_of
from partialreid.runtime.errors import user_errors
from partialreid.runtime.files import write_json

Array = np.ndarray[Any, Any]
Fusion = Callable[[Array, Array], Array]
# Below this probability isotonic regression saw no match at all; its logarithm would be infinite.
LEAST = 1e-6
# Pairs of one probability stay in the order of their distances.
TIE = 1e-6


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_network(parser)
    args = parser.parse_args(argv)
    with user_errors():
        unseen = [wanted for wanted in SETS if wanted.title.startswith("CUHK03-val")]
        configs = [config_of(args, wanted) for wanted in unseen]
        record: dict[str, Any] = {"run": record_of(configs[0], args.weights)}
        model = RememberedOutputs(checked_model(configs[0]), 4e9, configs[0].OUTPUT_DIR)
        for wanted, cfg in zip(unseen, configs, strict=True):
            _, evaluator = evaluated(cfg, model, cfg.DATASETS.TESTS[0])
            near, rebuilt = (
                np.asarray(evaluator.distances[name]) for name in ("global", "reconstruction")
            )
            record[wanted.title] = {
                way: queries_of(distances, evaluator.ids)
                for way, distances in fusions(near, rebuilt, evaluator.ids, cfg).items()
            }
            write_json(str(RESULTS / "fusion.json"), record)
        print(table(json.loads((RESULTS / "fusion.json").read_text(encoding="utf-8"))))
    return 0


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
    q_pids, g_pids, q_cameras, g_cameras = (np.asarray(x) for x in ids)
    same = q_pids[:, None] == g_pids
    # Images of a query's own camera are left out of its ranking. Others that were not shortlisted
    # have no reconstruction distance, only the one that stands behind all.
    taught = ~(same & (q_cameras[:, None] == g_cameras)) & (rebuilt < rebuilt.max())
    for way, learn in (("isotonic", isotonic), ("logistic", logistic)):
        fused = np.empty_like(near)
        for half in (0, 1):
            teach = taught & (of_lambda.half != half)[:, None]
            fuse = learn(near[teach], rebuilt[teach], same[teach])
            rows = of_lambda.half == half
            fused[rows] = fuse(near[rows], rebuilt[rows])
        found[way] = fused
    return found


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
