"""Processes: one, several on this machine, or several machines, with GPUs or on the CPU."""

from __future__ import annotations

import datetime
import os
import socket
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from fastreid.utils import comm

# Long enough for one rank to rank Market-1501 while the others wait.
TIMEOUT = datetime.timedelta(hours=2)
# How long a process that has lost another one waits to be ended with the other's error.
SECONDS_FOR_FIRST = 60.0


def resolve_device(wanted: str) -> str:
    """MODEL.DEVICE as "cuda" or "cpu".

    Raises:
        ValueError: "cuda" is asked for and there is no GPU, or the name is another one.
    """
    available = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if available else "cpu"
    if wanted not in ("cuda", "cpu"):
        raise ValueError(
            f"MODEL.DEVICE is {wanted!r}; it can be auto, cuda or cpu. "
            "CUDA_VISIBLE_DEVICES selects which GPUs are used."
        )
    if wanted == "cuda" and not available:
        raise ValueError(
            "MODEL.DEVICE is cuda but torch sees no GPU: set MODEL.DEVICE cpu (or auto), or install"
            " a torch that fits the driver."
        )
    return wanted


def settle_device(cfg: Any) -> None:
    """Replace "auto" in MODEL.DEVICE by what it stands for, in a frozen config too.

    FastReID's `build_model` and loaders read the key themselves and know no "auto".
    """
    if cfg.MODEL.DEVICE != "auto":
        return
    frozen = cfg.MODEL.is_frozen()
    cfg.MODEL.defrost()
    cfg.MODEL.DEVICE = resolve_device("auto")
    if frozen:
        cfg.MODEL.freeze()


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


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def under_torchrun() -> bool:
    """Whether torchrun (or another launcher of its kind) has started this process."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"))


def check_machines(num_machines: int, machine_rank: int, dist_url: str | None) -> None:
    """Check the arguments that place this machine in the job.

    Raises:
        ValueError: several machines without an address, or a rank out of range.
    """
    if num_machines > 1 and not dist_url:
        raise ValueError(
            "--num-machines needs --dist-url tcp://HOST:PORT, an address of machine 0 that all "
            "machines can reach."
        )
    if not 0 <= machine_rank < num_machines:
        raise ValueError(f"--machine-rank {machine_rank} is not in 0..{num_machines - 1}.")


def lost_process(error: Exception) -> bool:
    """Whether an error only says that another process of the job is gone."""
    # gloo has no class of its own; its messages name its source file.
    return isinstance(error, dist.DistError) or "/gloo/" in str(error)


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
        ValueError: several machines without an address, or a rank out of range.
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
    url = dist_url or f"tcp://127.0.0.1:{free_port()}"
    rest = (function, args, device, processes, machine_rank, world, url)
    # spawn ends the other processes when one fails, so that none waits for a dead one.
    mp.spawn(_child, args=rest, nprocs=processes)
    return None


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
    if url is None:
        dist.init_process_group(backend, timeout=TIMEOUT)
    else:
        dist.init_process_group(
            backend, init_method=url, rank=rank, world_size=world, timeout=TIMEOUT
        )
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
    except RuntimeError as error:
        if lost_process(error):
            # Another process has failed and closes its connections before it ends; its error is
            # the one to report, not this one, which follows from it.
            time.sleep(SECONDS_FOR_FIRST)
        raise
    finally:
        comm._LOCAL_PROCESS_GROUP = None
        comm._get_global_gloo_group.cache_clear()
        dist.destroy_process_group()
