"""Train a network and evaluate it.

    partialreid train --config-file demo.yml

`projects/PartialReID/train_net.py` is the same under the name that FastReID's users know.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..backbones.pretrained_files import check_pretrained
from ..data.catalogue import train_items
from ..engine.checkpoint import last_checkpoint, read_checkpoint
from ..engine.checks import check_config, check_output_dir, check_test_sets
from ..engine.precise_set import check_precise_set
from ..engine.resumption import epochs_done
from ..engine.trainer import PartialTrainer
from ..engine.training_checks import check_identities
from . import evaluate
from .job import job_parser, start

# Until then, the folder may hold those of an earlier training, or none.
GOES_ON = "--resume goes on from the last checkpoint, once this training has written one"


def build_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """The options of a training: those of every job, and FastReID's --resume and --eval-only.

    Args:
        prog: how the command is called; None takes the name of the script.
    """
    parser = job_parser(prog, "Train and evaluate partial person re-identification.")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint of OUTPUT_DIR"
    )
    parser.add_argument(
        "--eval-only", action="store_true", help="evaluate the checkpoint MODEL.WEIGHTS"
    )
    return parser


def check(cfg: Any, args: argparse.Namespace, world: int) -> None:
    """Everything that can be checked before processes start.

    Where a checkpoint gives the weights, pretrained ones are turned off in the config.

    Raises:
        ValueError: something does not fit; the message names it and the cure.
    """
    check_config(cfg, world, eval_only=False)
    check_output_dir(cfg.OUTPUT_DIR)
    if args.resume:
        if args.allow_partial:
            raise ValueError(
                "--resume goes on with the whole state of a run: --allow-partial does not go with "
                "it. To start from a part of the weights, give MODEL.WEIGHTS alone."
            )
        path = last_checkpoint(cfg.OUTPUT_DIR)
        epochs_done(read_checkpoint(path), path, cfg)
    elif cfg.MODEL.WEIGHTS:
        read_checkpoint(cfg.MODEL.WEIGHTS)
    if args.resume or cfg.MODEL.WEIGHTS:
        # The checkpoint overwrites whatever the backbone would start from.
        cfg.defrost()
        cfg.MODEL.BACKBONE.PRETRAIN = False
        cfg.freeze()
    check_pretrained(cfg)
    check_test_sets(cfg)
    items = train_items(cfg)
    check_identities(cfg, items, world)
    check_precise_set(cfg, items, world)


def train(cfg: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate in one process of the job; the results are those of the main one."""
    trainer = PartialTrainer(cfg, args.allow_partial, tests_checked=True)
    trainer.resume_or_load(resume=args.resume)
    return trainer.train()


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; errors of the user are one line, without a trace.

    Returns:
        The exit status.
    """
    args = build_parser(prog).parse_args(argv)
    if args.eval_only:
        return start(args, evaluate.check, evaluate.evaluate)
    return start(args, check, train, GOES_ON)
