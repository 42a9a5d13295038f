"""Evaluate a checkpoint, or a model file, on the test sets of a config.

    partialreid evaluate --config-file demo.yml MODEL.WEIGHTS logs/demo/model_final.pth
    partialreid evaluate --model demo.safetensors

The first is `train_net.py --eval-only` under a name of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from fastreid.utils import comm

from ..engine.checked_evaluation import check_evaluation
from ..engine.inference import evaluate_test_sets, load_for_evaluation
from ..engine.saved_model import KINDS
from ..engine.training_record import training_of
from ..keys.unread_keys import warn_of_idle_keys
from .job import job_parser, start


def check(cfg: Any, args: argparse.Namespace, world: int) -> None:
    """Everything that can be checked before processes start.

    Raises:
        ValueError: something does not fit; the message names it and the cure.
    """
    check_evaluation(cfg, world)


def evaluate(cfg: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate in one process of the job; the results are those of the main one."""
    if comm.is_main_process():
        warn_of_idle_keys(cfg, eval_only=True)
    model = load_for_evaluation(cfg, cfg.MODEL.WEIGHTS, args.allow_partial)
    return evaluate_test_sets(cfg, model, training_of(cfg.MODEL.WEIGHTS, cfg))


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; errors of the user are one line, without a trace.

    Returns:
        The exit status.
    """
    parser = job_parser(prog, "Evaluate a checkpoint, MODEL.WEIGHTS, on DATASETS.TESTS.")
    parser.add_argument(
        "--model",
        default=argparse.SUPPRESS,
        metavar="FILE",
        help=f"in place of --config-file and MODEL.WEIGHTS: {KINDS}",
    )
    args = parser.parse_args(argv)
    # FastReID's loggers and checks know an evaluation by these.
    args.eval_only, args.resume = True, False
    return start(args, check, evaluate)
