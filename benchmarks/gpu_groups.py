"""Do processes on GPUs talk to each other, and is an evaluation on all of them that of one?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.made_up_evaluation import Sizes, config, evaluate
from partialreid.engine.launching import free_port, launch
from partialreid.runtime.collectives import rank

# Small: what is asked is whether the distances are equal.
SIZES = Sizes(queries=100, galleries=900, people=50, channels=64, columns=20)
OPTIONS = ("TEST.DSR.TOPK", 20, "TEST.DSR.COARSE.DIMENSIONS", 16)


def measure(device: str, processes: int) -> dict[str, Any]:
    """The group of one process; and of all, the largest difference of distances to one process."""
    found: dict[str, Any] = {"backend": "nccl" if device == "cuda" else "gloo"}
    found["group of one"] = _group_of_one(device, found["backend"])
    if processes > 1:
        with tempfile.TemporaryDirectory() as folder:
            for count in (1, processes):
                launch(_process, device, count, args=(folder, device, count))
            one, all_of_them = (
                torch.load(Path(folder) / f"{count}.pt") for count in (1, processes)
            )
        found[f"largest difference of {processes} processes to one"] = {
            name: float((all_of_them[name] - distance).abs().max())
            for name, distance in one.items()
        }
    return found


def _process(folder: str, device: str, count: int) -> None:
    # All pairs: images at the end of a shortlist may be equally near.
    evaluator, *_ = evaluate(config(device, *OPTIONS, "TEST.DSR.SHORTLIST", "none"), SIZES)
    if rank() == 0:
        kept = {name: evaluator.distances[name] for name in ("global", "reconstruction")}
        torch.save(kept, Path(folder) / f"{count}.pt")


def _group_of_one(device: str, backend: str) -> dict[str, float]:
    """A sum, a broadcast and a training step in a group that has one process."""
    url = f"tcp://127.0.0.1:{free_port()}"
    dist.init_process_group(backend, init_method=url, rank=0, world_size=1)
    try:
        numbers = torch.arange(4.0, device=device)
        dist.all_reduce(numbers)
        dist.broadcast(numbers, src=0)
        model = DistributedDataParallel(nn.Linear(4, 1).to(device))
        model(numbers[None]).sum().backward()
        gradient = model.module.weight.grad
        return {"sum": float(numbers.sum()), "gradient": float(gradient.sum())}
    finally:
        dist.destroy_process_group()
