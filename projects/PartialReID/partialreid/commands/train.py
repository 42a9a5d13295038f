"""The command line of train_net.py: parse, check, launch."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from typing import Any

import torch
from fastreid.config import get_cfg
from fastreid.engine.defaults import default_argument_parser, default_setup
from fastreid.utils import comm
from fastreid.utils.logger import setup_logger

from ..backbones.pretrained_files import check_pretrained
from ..config import add_partialreid_config
from ..data.catalogue import train_items
from ..data.epoch_sampler import drawn_seed, epoch_seed
from ..engine.checked_evaluation import check_evaluation
from ..engine.checkpoint import last_checkpoint, read_checkpoint
from ..engine.checks import check_config, check_output_dir, check_test_sets
from ..engine.inference import evaluate_test_sets, load_model
from ..engine.launching import launch, processes_here, under_torchrun
from ..engine.meeting import check_machines
from ..engine.resumption import epochs_done
from ..engine.trainer import PartialTrainer
from ..engine.training_checks import check_identities
from ..keys.config_files import expand_paths, find_config, merge_file, merge_options
from ..keys.unread_keys import warn_of_idle_keys
from ..runtime.device import resolve_device
from ..runtime.errors import keep_trace, user_errors

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
        # FastReID writes the file into the log, under this name.
        args.config_file = find_config(args.config_file)
        merge_file(cfg, args.config_file)
    merge_options(cfg, list(args.opts or []))
    expand_paths(cfg)
    cfg.MODEL.DEVICE = resolve_device(cfg.MODEL.DEVICE)
    if cfg.SEED < 0:
        cfg.SEED = drawn_seed()
    cfg.freeze()
    return cfg


def prepare(args: argparse.Namespace) -> tuple[Any, int]:
    """Everything that can be checked before processes start.

    Returns:
        The config and how many processes this machine runs.

    Raises:
        ValueError: something does not fit; the message names it and the cure.
    """
    cfg = setup_config(args)
    processes = processes_here(cfg.MODEL.DEVICE, args.num_gpus)
    world = processes * args.num_machines
    if under_torchrun():
        world = int(os.environ["WORLD_SIZE"])
    check_machines(args.num_machines, args.machine_rank, args.dist_url)
    if args.eval_only:
        check_evaluation(cfg, world)
        return cfg, processes
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
    if cfg.MODEL.BACKBONE.PRETRAIN:
        check_pretrained(cfg)
    check_test_sets(cfg)
    check_identities(cfg, train_items(cfg), world)
    return cfg, processes


def run(cfg: Any, args: argparse.Namespace) -> dict[str, Any]:
    """One process of the job: set up logging, then train or evaluate.

    Returns:
        The results on the main process.
    """
    share_seed(cfg)
    default_setup(cfg, args)
    setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="partialreid")
    # On a full disk each line of the log would give a trace; the file that matters gives an error.
    logging.raiseExceptions = False
    logger.info(f"SEED {cfg.SEED} determines this run; FastReID's random seed above is replaced")
    torch.manual_seed(epoch_seed(cfg.SEED, 0, comm.get_rank()))
    try:
        if args.eval_only:
            if comm.is_main_process():
                warn_of_idle_keys(cfg, eval_only=True)
            model = load_model(cfg, cfg.MODEL.WEIGHTS, args.allow_partial)
            return evaluate_test_sets(cfg, model)
        trainer = PartialTrainer(cfg, args.allow_partial)
        trainer.resume_or_load(resume=args.resume)
        return trainer.train()
    except Exception as error:
        keep_trace(error)
        raise


def share_seed(cfg: Any) -> None:
    """Give all processes the main one's SEED: each machine, or each process of torchrun, drew one.

    With different seeds the samplers of two processes would not share one order of the images.
    """
    cfg.defrost()
    cfg.SEED = comm.all_gather(cfg.SEED)[0]
    cfg.freeze()


def log_to_stderr() -> None:
    """Show this package's messages on standard error: what the tools do while they work."""
    package = logging.getLogger("partialreid")
    if not package.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%m/%d %H:%M:%S"))
        package.addHandler(handler)
    package.setLevel(logging.INFO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; errors of the user are one line, without a trace.

    Returns:
        The exit status.
    """
    args = build_parser().parse_args(argv)
    with user_errors():
        cfg, processes = prepare(args)
        machines = (args.num_machines, args.machine_rank, args.dist_url)
        launch(run, cfg.MODEL.DEVICE, processes, *machines, (cfg, args))
    return 0
