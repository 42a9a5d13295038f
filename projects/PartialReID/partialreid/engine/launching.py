"""Processes: one, several on this machine, or several machines, with GPUs or on the CPU."""

from __future__ import annotations

import datetime
import logging
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from fastreid.utils import comm
from torch.multiprocessing import ProcessExitedException

from ..runtime.errors import lost_process
from .meeting import check_machines, free_port, meet, meet_as_launched

# Long enough for one rank to rank Market-1501 while the others wait.
TIMEOUT = datetime.timedelta(hours=2)
# A process that has lost the connection to another one waits so long before it says so. Mostly the
# other one has failed, and its error, which ends this process too, is the one to show.
SECONDS_FOR_FIRST = 60.0
SECONDS_FOR_LAST = 0.1
# Exit status of a process that found its script without `if __name__ == "__main__":`.
UNGUARDED = 3


def processes_here(device: str, num_gpus: int | None) -> int:
    """How many processes this machine runs: --num-gpus, or all visible GPUs, or one on a CPU.

    Raises:
        ValueError: more GPUs are asked for than are visible, or fewer than one process.
    """
    if device == "cpu":
        count = 1 if num_gpus is None else num_gpus
    else:
        visible = torch.cuda.device_count()
        count = visible if num_gpus is None else num_gpus
        if count > visible:
            raise ValueError(f"--num-gpus {count}, but {visible} GPUs are visible.")
    if count < 1:
        raise ValueError(f"--num-gpus {count}: at least one process is needed.")
    return count


def under_torchrun() -> bool:
    """Whether torchrun (or another launcher of its kind) has started this process."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"))


def launch(
    function: Callable[..., Any],
    device: str,
    processes: int,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str | None = None,
    args: tuple[Any, ...] = (),
) -> Any:
    """Run `function(*args)` in every process of the job.

    Args:
        function: importable at top level, as child processes import it again.
        device: "cuda" (NCCL) or "cpu" (gloo).
        processes: on this machine.
        num_machines: in the job.
        machine_rank: of this machine, from 0.
        dist_url: where rank 0 listens, tcp://host:port; None takes a free port of this machine.
        args: arguments of `function`.

    Returns:
        What `function` returned, in a job of one process or under torchrun; None otherwise.

    Raises:
        ValueError: as `meeting.check_machines`, or child processes cannot import `function`.
        ProcessRaisedException: a child process has failed; the message is its trace.
        ProcessExitedException: a child process was ended from outside.
    """
    if under_torchrun():
        world = int(os.environ["WORLD_SIZE"])
        local = int(os.environ["LOCAL_RANK"])
        local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
        return _join(function, args, device, local, local_world, None, None, None)
    check_machines(num_machines, machine_rank, dist_url)
    world = processes * num_machines
    if world == 1:
        return function(*args)
    check_importable(function)
    url = dist_url or f"tcp://127.0.0.1:{free_port()}"
    rest = (function, args, device, processes, machine_rank, world, url)
    try:
        # spawn ends the other processes when one fails, so that none waits for a dead one, and
        # would log that it does.
        logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
        mp.spawn(_child, args=rest, nprocs=processes)
    except ProcessExitedException as error:
        if error.exit_code == UNGUARDED:
            raise ValueError(
                "several processes import the script again, which must not start the job anew: "
                'write the call under `if __name__ == "__main__":`.'
            ) from error
        raise
    return None


def check_importable(function: Callable[..., Any]) -> None:
    """Check that processes can be started here, and that they will find the function.

    Raises:
        ValueError: it is defined in a notebook, at a prompt or inside another function, or the
            script that runs is no file.
        SystemExit: this is such a process, which imports a script that starts processes.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # The process that waits for this one says it, once; a trace would come from each.
        sys.exit(UNGUARDED)
    main = sys.modules["__main__"]
    # Standard input has a name, <stdin>, that is no file's. A module has a spec: it is found again.
    script = getattr(main, "__file__", None)
    if getattr(main, "__spec__", None) is None and script and not os.path.isfile(script):
        raise ValueError(
            f"several processes import the script again, and {os.path.basename(script)} is no "
            "file: write the script into a file, and start that."
        )
    name = getattr(function, "__qualname__", "")
    place = sys.modules.get(getattr(function, "__module__", None) or "")
    typed_in = place is main and not script
    if "<" in name or typed_in:
        raise ValueError(
            f"the function {name} cannot be imported by other processes: put it at the top level "
            "of a file, and import it from there (a notebook or a prompt is no file)."
        )


def _child(
    local: int,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    device: str,
    processes: int,
    machine_rank: int,
    world: int,
    url: str,
) -> None:
    if device == "cpu":
        # Otherwise every process takes all cores, and they spend their time waiting.
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    rank = machine_rank * processes + local
    _join(function, args, device, local, processes, rank, world, url)


def _join(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    device: str,
    local: int,
    local_world: int,
    rank: int | None,
    world: int | None,
    url: str | None,
) -> Any:
    if device == "cuda":
        torch.cuda.set_device(local)
    backend = "nccl" if device == "cuda" else "gloo"
    if url is None or rank is None or world is None:
        meet_as_launched(backend, TIMEOUT)
    else:
        store = meet(url, rank, world)
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=TIMEOUT)
    try:
        # FastReID asks this group for the local rank; every process must create every group.
        for first in range(0, dist.get_world_size(), local_world):
            group = dist.new_group(list(range(first, first + local_world)))
            if first <= dist.get_rank() < first + local_world:
                comm._LOCAL_PROCESS_GROUP = group
        with warnings.catch_warnings():
            # FastReID's gather packs its bytes through it; every process would warn.
            warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
            return function(*args)
    except Exception as error:
        if lost_process(error):
            # Another process has failed and closes its connections before it ends; its error is
            # the one to report, not this one, which follows from it.
            time.sleep(SECONDS_FOR_FIRST)
        raise
    finally:
        comm._LOCAL_PROCESS_GROUP = None
        comm._get_global_gloo_group.cache_clear()
        # A group's own thread drops what it worked on last, for which it needs Python's lock. Torch
        # 2.4 holds the lock while it waits for that thread to end: a moment without it comes first.
        time.sleep(SECONDS_FOR_LAST)
        dist.destroy_process_group()
