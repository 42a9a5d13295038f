"""Choose lambda on identities that were kept from training: no test set is looked at.

    partialreid train --config-file market_mobilenetv2.yml DATASETS.HELD_OUT 100
    partialreid select-lambda --config-file market_mobilenetv2.yml DATASETS.HELD_OUT 100 \
        MODEL.WEIGHTS logs/market_mobilenetv2/model_final.pth

The held-out identities of each set in DATASETS.NAMES become a test set whose queries are cut
(Partial) and hidden (Occluded); --queries says which. A network that was trained on everybody
chooses by another set, which no result is reported on:

    partialreid select-lambda --config-file market_mobilenetv2.yml \
        MODEL.WEIGHTS logs/market_mobilenetv2/model_final.pth \
        --people folder:/data/people --queries Whole Partial Occluded

The lambda of the best Rank-1, in the mean over these sets, is printed; OUTPUT_DIR/lambda.json and
lambda.png hold the curves, lambda.json also what each query found at that lambda.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from ..data.catalogue import with_suffix
from ..derived.dataset import SUFFIXES
from ..derived.held_out import SUFFIX
from ..engine.checked_evaluation import checked_model, evaluated, evaluation_record
from ..engine.configuration import setup_config
from ..engine.training_record import training_of
from ..engine.unseen_people import check_unseen
from ..metrics.fusion import lambda_grid
from ..metrics.lambda_selection import LambdaCurve, curve_of, mean_curve
from ..metrics.lambda_sweep import swept_queries
from ..reporting.curve_pictures import Line, draw_panels
from ..reporting.query_record import query_record
from ..reporting.results_table import lambda_text
from ..runtime.errors import user_errors
from ..runtime.files import write_json
from .output import log_to_stderr, say

KINDS = (*SUFFIXES, "Whole")


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", required=True, metavar="FILE")
    parser.add_argument(
        "--queries",
        nargs="+",
        action="append",
        metavar="KIND",
        help=f"what is done to them: {', '.join(KINDS)} (default: {' '.join(KINDS[:2])})",
    )
    parser.add_argument(
        "--people",
        action="append",
        default=[],
        metavar="NAME",
        help="a set to choose by that was not trained on, in place of held-out identities; once "
        "for each",
    )
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    args = parser.parse_intermixed_args(argv)
    log_to_stderr()
    with user_errors():
        take_queries(args)
        cfg = config_of(args)
        check_unseen(cfg, args.people)
        model = checked_model(cfg)
        of_model = training_of(cfg.MODEL.WEIGHTS, cfg)
        grid = lambda_grid(cfg.TEST.DSR.LAMBDA_STEP)
        curves, scores, people = {}, {}, {}
        for name in cfg.DATASETS.TESTS:
            _, evaluator = evaluated(cfg, model, name)
            near, matched = (evaluator.distances[d] for d in ("global", "reconstruction"))
            scores[name] = swept_queries(near, matched, *evaluator.ids, grid)
            people[name] = evaluator.ids[0]
            curves[name] = curve_of(scores[name], grid)
        mean = mean_curve(list(curves.values()))
        chosen = mean.lambdas.index(mean.best)
        record = {
            "lambda": mean.best,
            "lambdas": list(grid),
            "curves": {
                name: {
                    "Rank-1": [100 * float(x) for x in curve.rank1],
                    "mAP": [100 * float(x) for x in curve.m_ap],
                    "best_lambda": curve.best,
                }
                for name, curve in {**curves, "mean": mean}.items()
            },
            "queries": {
                name: query_record(of_set[chosen], people[name]) for name, of_set in scores.items()
            },
            "run": evaluation_record(cfg, model, of_model),
        }
        write_json(os.path.join(cfg.OUTPUT_DIR, "lambda.json"), record)
        draw_panels(
            {"": lambda_lines({**curves, "mean": mean})},
            os.path.join(cfg.OUTPUT_DIR, "lambda.png"),
            "lambda (0: global distance, 1: reconstruction)",
            "Rank-1, %",
        )
    for name, curve in curves.items():
        say(f"{name}: best lambda {lambda_text(curve.best)}")
    say(f"curves: {cfg.OUTPUT_DIR}/lambda.json, lambda.png")
    say(f"chosen: TEST.DSR.LAMBDA_SELECTION fixed TEST.DSR.LAMBDA {lambda_text(mean.best)}")
    return 0


def take_queries(args: argparse.Namespace) -> None:
    """Part what follows --queries: kinds, then config keys, which may stand behind all options.

    Raises:
        ValueError: --queries is there twice, nothing follows it, a word is no kind, one is there
            twice and would count so, or a key stands before and behind.
    """
    given = args.queries or [list(KINDS[:2])]
    words = given[0]
    # Names of keys are in capitals, or have dots.
    keys = next((i for i, word in enumerate(words) if "." in word or word.isupper()), len(words))
    kinds, behind = words[:keys], words[keys:]
    wrong = [kind for kind in kinds if kind not in KINDS]
    if len(given) > 1 or wrong or not kinds or len(set(kinds)) < len(kinds):
        said = " ".join(" ".join(["--queries", *each]) for each in given)
        raise ValueError(f"{said}: give one or several of {', '.join(KINDS)}, each once.")
    if twice := set(behind[::2]) & set(args.opts[::2]):
        raise ValueError(f"{min(twice)} is given twice: leave one of them out.")
    args.queries, args.opts = kinds, [*args.opts, *behind]


def lambda_lines(curves: dict[str, LambdaCurve]) -> list[Line]:
    """Rank-1 over lambda in per cent, its best value marked."""
    return [
        Line(
            curve.lambdas,
            [100 * float(x) for x in curve.rank1],
            number,
            f"{name}, best {lambda_text(curve.best)}",
            marked=curve.lambdas.index(curve.best),
        )
        for number, (name, curve) in enumerate(curves.items())
    ]


def config_of(args: argparse.Namespace) -> Any:
    """The config, with what lambda is chosen by as its test sets."""
    cfg = setup_config(args)
    cfg.defrost()
    stems = args.people or [with_suffix(name, SUFFIX) for name in cfg.DATASETS.NAMES]
    cfg.DATASETS.TESTS = tuple(
        with_suffix(name, kind) if kind != "Whole" else name
        for name in stems
        for kind in args.queries
    )
    # All lambdas are measured below; intervals are of no use for a choice.
    cfg.TEST.DSR.LAMBDA_SELECTION = "fixed"
    cfg.TEST.DSR.BOOTSTRAP_ROUNDS = 0
    cfg.TEST.DSR.ENABLED = True
    cfg.freeze()
    return cfg
