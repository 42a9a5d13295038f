"""The command line of train_net.py: parse, check, launch."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from fastreid.config import get_cfg
from fastreid.engine.defaults import default_argument_parser, default_setup
from fastreid.modeling.meta_arch import build_model
from fastreid.utils import comm

from .checkpoint import classes_in, load_weights, read_checkpoint
from .checks import check_config, check_output_dir
from .config import add_partialreid_config
from .engine import PartialTrainer
from .launching import launch, processes_here, resolve_device, under_torchrun
from .loaders import check_test_sets, epoch_seed
from .pretrained import check_pretrain_path

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """FastReID's arguments, with defaults that need no GPU and no free port by chance."""
    parser = default_argument_parser()
    parser.description = "Train and evaluate partial person re-identification."
    parser.set_defaults(num_gpus=None, dist_url=None)
    for action in parser._actions:
        if action.dest == "num_gpus":
            action.help = "processes on this machine (default: all visible GPUs; one on a CPU)"
        if action.dest == "dist_url":
            action.help = "address of machine 0, tcp://HOST:PORT (default: a free local port)"
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="load a checkpoint although some of its keys do not match the model",
    )
    return parser


def setup_config(args: argparse.Namespace) -> Any:
    """The frozen config of a command line, its device resolved and its seed drawn if asked.

    Raises:
        ValueError: an unknown key, a value of the wrong type, or an absent file.
    """
    cfg = get_cfg()
    add_partialreid_config(cfg)
    if args.config_file:
        if not os.path.isfile(args.config_file):
            raise ValueError(f'--config-file "{args.config_file}" is not there.')
        try:
            cfg.merge_from_file(args.config_file)
        except (KeyError, ValueError, AssertionError) as error:
            raise ValueError(f'"{args.config_file}": {_plain(error)}') from error
    options = list(args.opts or [])
    if len(options) % 2:
        raise ValueError(f"keys and values must come in pairs, got: {' '.join(options)}")
    try:
        cfg.merge_from_list(options)
    except (KeyError, ValueError, AssertionError) as error:
        raise ValueError(f"command line: {_plain(error)}") from error
    cfg.MODEL.DEVICE = resolve_device(cfg.MODEL.DEVICE)
    if cfg.SEED < 0:
        cfg.SEED = int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    cfg.freeze()
    return cfg


def _plain(error: Exception) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def prepare(args: argparse.Namespace) -> tuple[Any, int]:
    """Everything that can be checked before processes start.

    Returns:
        The config, with NUM_CLASSES of the checkpoint in an evaluation, and how many processes
        this machine runs.

    Raises:
        ValueError: something does not fit; the message names it and the cure.
    """
    cfg = setup_config(args)
    processes = processes_here(cfg.MODEL.DEVICE, args.num_gpus)
    world = processes * args.num_machines
    if under_torchrun():
        world = int(os.environ["WORLD_SIZE"])
    check_config(cfg, world, args.eval_only)
    check_output_dir(cfg.OUTPUT_DIR)
    cfg.defrost()
    if args.eval_only:
        if not cfg.MODEL.WEIGHTS:
            raise ValueError("--eval-only needs a checkpoint: add MODEL.WEIGHTS path/to/model.pth.")
        state = read_checkpoint(cfg.MODEL.WEIGHTS)["model"]
        cfg.MODEL.HEADS.NUM_CLASSES = classes_in(state)
        cfg.MODEL.BACKBONE.PRETRAIN = False
    else:
        if cfg.MODEL.WEIGHTS and not args.resume:
            read_checkpoint(cfg.MODEL.WEIGHTS)
        if args.resume or cfg.MODEL.WEIGHTS:
            # The checkpoint overwrites whatever the backbone would start from.
            cfg.MODEL.BACKBONE.PRETRAIN = False
        if cfg.MODEL.BACKBONE.PRETRAIN:
            check_pretrain_path(cfg.MODEL.BACKBONE.PRETRAIN_PATH)
    cfg.freeze()
    check_test_sets(cfg)
    return cfg, processes


def run(cfg: Any, args: argparse.Namespace) -> dict[str, Any]:
    """One process of the job: set up logging, then train or evaluate.

    Returns:
        The results on the main process.
    """
    default_setup(cfg, args)
    # default_setup seeds at random; from here on SEED rules.
    torch.manual_seed(epoch_seed(cfg.SEED, 0, comm.get_rank()))
    if args.eval_only:
        model = build_model(cfg)
        state = read_checkpoint(cfg.MODEL.WEIGHTS)["model"]
        load_weights(model, state, cfg.MODEL.WEIGHTS, args.allow_partial)
        return PartialTrainer.test(cfg, model)
    trainer = PartialTrainer(cfg, args.allow_partial)
    trainer.resume_or_load(resume=args.resume)
    return trainer.train()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; errors of the user are one line, without a trace.

    Returns:
        The exit status.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    try:
        cfg, processes = prepare(args)
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        parser.exit(2, f"error: {_plain(error)}\n")
    launch(
        run,
        cfg.MODEL.DEVICE,
        processes,
        args.num_machines,
        args.machine_rank,
        args.dist_url,
        (cfg, args),
    )
    return 0
