#!/usr/bin/env python3
"""What does a GPU give? Everything that needs one, in under eight minutes, into logs/gpu.json.

Each part is a process of its own, so that one that fails or hangs takes nothing else with it:

| part | question |
|---|---|
| tests on one GPU, on all | do the tests marked `cuda` pass? |
| groups | does NCCL work, and is an evaluation on all GPUs that of one? |
| training | images per second of a step, float32 and mixed precision, and its waits |
| distances | a pair of the exact distance in float32, against the bare matrix product |
| shortlists | up to which gallery are all pairs faster than a shortlist, and what `auto` takes |
| evaluation | 3,368 x 15,913 made-up images, by shortlist and all pairs, on one GPU and on all |

What is expected of an H100 stands beside it, see `gpu_prediction`.

`python -m benchmarks.gpu PART` runs the part of that name alone and prints its JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from benchmarks import distances, gpu_groups, gpu_training, made_up_evaluation, shortlists
from benchmarks.bench import ROOT, commit, machine
from benchmarks.gpu_prediction import predicted
from partialreid.runtime.files import write_json
from partialreid.runtime.machine_record import machine_record

OUT = ROOT / "logs" / "gpu.json"
SECONDS = 460.0  # for all parts together


def _evaluations() -> list[dict[str, Any]]:
    counts = sorted({1, torch.cuda.device_count()})
    return [
        made_up_evaluation.measure(
            "cuda", processes=count, options=("TEST.DSR.SHORTLIST", shortlist)
        )
        for count in counts
        for shortlist in ("coarse", "none")
    ]


PARTS: dict[str, Callable[[], Any]] = {
    "groups": lambda: gpu_groups.measure("cuda", torch.cuda.device_count()),
    "training": lambda: gpu_training.measure("cuda"),
    "distances": lambda: distances.measure("cuda", scale=5),
    "shortlists": lambda: shortlists.measure("cuda"),
    "evaluation": _evaluations,
}


class Command(NamedTuple):
    """A program, its arguments, and what it finds in its environment besides."""

    line: list[str]
    environment: Mapping[str, str] = MappingProxyType({})


def commands() -> dict[str, Command]:
    """How each part is run."""
    tests = [sys.executable, "-m", "pytest", "-m", "cuda", "-q"]
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    # The tests that want several GPUs are left out where one alone is visible.
    parts = {"tests on one GPU": Command(tests, {"CUDA_VISIBLE_DEVICES": first})}
    if torch.cuda.device_count() > 1:
        parts[f"tests on all {torch.cuda.device_count()} GPUs"] = Command(tests)
    own = {part: Command([sys.executable, "-m", "benchmarks.gpu", part]) for part in PARTS}
    return {**parts, **own}


def run(parts: Mapping[str, Command], seconds: float = SECONDS) -> dict[str, dict[str, Any]]:
    """Run each part in its turn.

    Args:
        parts: by name; each may print JSON in its last line.
        seconds: for all of them; a part that is still running then is ended.

    Returns:
        For each part `passed`, `seconds`, and its JSON as `found` or the end of what it `said`.
    """
    end = time.monotonic() + seconds
    done: dict[str, dict[str, Any]] = {}
    for name, command in parts.items():
        print(f"== {name}", flush=True)
        start = time.monotonic()
        try:
            process = subprocess.run(
                command.line,
                capture_output=True,
                text=True,
                cwd=ROOT,
                env={**os.environ, **command.environment},
                timeout=max(1.0, end - start),
            )
            said, passed = process.stdout, process.returncode == 0
            if not passed:
                said += process.stderr
        except subprocess.TimeoutExpired as late:
            said, passed = f"{_text(late.stdout)}\nnot finished after {late.timeout:.0f} s", False
        record: dict[str, Any] = {"passed": passed, "seconds": time.monotonic() - start}
        lines = said.strip().splitlines() or [""]
        try:
            record["found"] = json.loads(lines[-1])
        except ValueError:
            record["said"] = lines[-20:]
        done[name] = record
        print(json.dumps(record, indent=2), flush=True)
    return done


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def main(arguments: list[str]) -> int:
    """Run all parts, or the one that is named; 0 if all passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("part", nargs="?", choices=list(PARTS), help="this one alone")
    part = parser.parse_args(arguments).part
    if not torch.cuda.is_available():
        print(
            f"error: there is no GPU: torch {torch.__version__} sees none, so nothing was measured",
            file=sys.stderr,
        )
        return 1
    if part is not None:
        print(json.dumps(PARTS[part]()))
        return 0
    record = {"commit": commit(), "machine": {**machine_record("cuda"), **machine()}}
    done = run(commands())
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_json(str(OUT), {**record, "predicted for an H100": predicted(), "parts": done})
    failed = [name for name, part in done.items() if not part["passed"]]
    print(f"written to {OUT}; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
