"""A job on one or several processes: what `train` and `evaluate` share.

They are checked as a whole before processes start; then every process sets up its log and its seed
in the same way and does the work.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
from collections.abc import Callable
from typing import Any

import torch
from fastreid.engine.defaults import default_setup
from fastreid.utils import comm
from fastreid.utils.logger import setup_logger

from ..data.epoch_sampler import epoch_seed
from ..engine.configuration import setup_config
from ..engine.launching import launch, processes_here, under_torchrun
from ..engine.meeting import check_machines
from ..runtime.errors import keep_trace, user_errors
from ..runtime.files import written_into

logger = logging.getLogger(__name__)

# Raises ValueError if config and command line do not fit the number of processes of the job.
Check = Callable[[Any, argparse.Namespace, int], None]
# What each process does; returns the results on the main one.
Work = Callable[[Any, argparse.Namespace], dict[str, Any]]


def job_parser(prog: str | None, description: str) -> argparse.ArgumentParser:
    """FastReID's arguments of a job, with defaults that need no GPU and no free port by chance.

    Args:
        prog: how the command is called; None takes the name of the script.
        description: what it does.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument(
        "--config-file",
        default="",
        metavar="FILE",
        help="a path, or the name of a config of this project, as demo.yml",
    )
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="load a checkpoint although some of its keys do not match the model",
    )
    parser.add_argument(
        "--num-gpus",
        type=int,
        default=None,
        help="processes on this machine (default: all visible GPUs; one on a CPU)",
    )
    parser.add_argument("--num-machines", type=int, default=1, help="machines of the job")
    parser.add_argument("--machine-rank", type=int, default=0, help="which of them this is, from 0")
    parser.add_argument(
        "--dist-url",
        default=None,
        help="address of machine 0, tcp://HOST:PORT (default: a free local port)",
    )
    parser.add_argument(
        "opts", nargs=argparse.REMAINDER, help="config keys and values, after all options"
    )
    return parser


def start(args: argparse.Namespace, check: Check, work: Work, goes_on: str = "") -> int:
    """Check a job, then do its work in all its processes; errors of the user are one line.

    Args:
        args: of a `job_parser`.
        check: everything that can be checked before processes start; it may change the config.
        work: a function at top level, as processes import it again.
        goes_on: how the work can be taken up again after Ctrl-C.

    Returns:
        The exit status.
    """
    with user_errors(goes_on):
        cfg = setup_config(args)
        processes = processes_here(cfg.MODEL.DEVICE, args.num_gpus)
        world = processes * args.num_machines
        if under_torchrun():
            world = int(os.environ["WORLD_SIZE"])
        machines = (args.num_machines, args.machine_rank, args.dist_url)
        check_machines(*machines)
        check(cfg, args, world)
        launch(run, cfg.MODEL.DEVICE, processes, *machines, (work, cfg, args))
    return 0


def run(work: Work, cfg: Any, args: argparse.Namespace) -> dict[str, Any]:
    """One process of the job: set up the log and the seed, then work.

    Returns:
        The results on the main process.
    """
    # On a full disk each line of the log would give a trace; the file that matters gives an error.
    logging.raiseExceptions = False
    share_seed(cfg)
    with written_into(cfg.OUTPUT_DIR):
        set_up(cfg, args)
        try:
            return work(cfg, args)
        except Exception as error:
            keep_trace(error)
            raise


def set_up(cfg: Any, args: argparse.Namespace) -> None:
    """Start the log, write the config beside it, and seed this process.

    Raises:
        OSError: there is no room for them; no half of the config is left.
    """
    try:
        default_setup(cfg, args)
    except OSError as error:
        # It names the file if that could not be opened. Else what it held before is gone.
        if comm.is_main_process() and error.filename is None:
            with contextlib.suppress(OSError):
                os.remove(os.path.join(cfg.OUTPUT_DIR, "config.yaml"))
        raise
    setup_logger(cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="partialreid")
    logger.info(f"SEED {cfg.SEED} determines this run; FastReID's random seed above is replaced")
    torch.manual_seed(epoch_seed(cfg.SEED, 0, comm.get_rank()))


def share_seed(cfg: Any) -> None:
    """Give all processes the main one's SEED: each machine, or each process of torchrun, drew one.

    With different seeds the samplers of two processes would not share one order of the images.
    """
    cfg.defrost()
    cfg.SEED = comm.all_gather(cfg.SEED)[0]
    cfg.freeze()
