"""What all benchmarks share: the machine, timing of alternatives in turn, the results file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from tabulate import tabulate

from partialreid.runtime.device_clock import seconds_on
from partialreid.runtime.errors import USER_ERROR
from partialreid.runtime.files import write_json
from partialreid.runtime.machine_record import peak_memory_gb
from partialreid.runtime.source_version import commit_of_source

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "logs" / "bench"


def no_options(about: str | None) -> None:
    """Answer --help, and refuse whatever else stands behind the name of a program without options.

    Args:
        about: the program's docstring.
    """
    argparse.ArgumentParser(description=(about or "").partition("\n")[0]).parse_args()


def refuse(reason: str) -> NoReturn:
    """End the program for a user's mistake, as `partialreid` does: with a sentence and status 2."""
    print(f"error: {reason}", file=sys.stderr)
    raise SystemExit(USER_ERROR)


def machine() -> dict[str, Any]:
    """Processor, threads, memory and versions."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        name = models[0].split(":")[1].strip() if models else name
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "fastreid": version("fastreid"),
    }


def commit() -> str:
    """The commit that is measured, marked if files have changed since."""
    return commit_of_source(Path(__file__).resolve()) or "unknown"


def time_in_turn(
    work: Mapping[str, Callable[[], Any]], rounds: int = 7, device: str = "cpu"
) -> dict[str, dict[str, float]]:
    """Seconds of each alternative: median and quartiles of `rounds` after one to warm up.

    All alternatives run once in every round, so that a slow moment of the machine meets all. On a
    GPU the clock is read when it has finished.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, function in work.items():
            start = seconds_on(device)
            function()
            end = seconds_on(device)
            if turn:
                seconds[name].append(end - start)
    return {
        name: {
            "median": float(np.median(values)),
            "first quartile": float(np.quantile(values, 0.25)),
            "third quartile": float(np.quantile(values, 0.75)),
        }
        for name, values in seconds.items()
    }


def peak_gigabytes() -> float:
    """Largest resident memory of this process so far; not a number where nobody counts."""
    peak = peak_memory_gb()
    return float("nan") if peak is None else peak


def peak_device_gigabytes(device: str) -> float | None:
    """Most memory of the GPU that this process held so far, and count anew; None on others."""
    if torch.device(device).type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 2)


def report(name: str, shapes: Any, rows: list[dict[str, Any]], **more: Any) -> None:
    """Print a table and write logs/bench/<name>.json."""
    print(f"\n== {name}: {shapes}")
    print(tabulate(rows, headers="keys", tablefmt="pipe", floatfmt=".4g"))
    for key, value in more.items():
        print(f"{key}: {json.dumps(value)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "shapes": shapes, "rows": rows, **more}
    write_json(str(RESULTS / f"{name}.json"), record)
