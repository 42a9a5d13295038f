#!/usr/bin/env python3
"""Is a whole evaluation faster than that of another checkout of this project?

    git worktree add /where/there/is/room SOME_COMMIT
    python -m benchmarks.checkouts --other /where/there/is/room --config-file CONFIG KEY VALUE ...

The command `train_net.py --eval-only` is run in both checkouts in turn, with the same keys, from
its start to its end. `--here KEY VALUE` is for this checkout alone, as for a key that the other
does not know.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import ROOT, report
from partialreid.runtime.source_version import commit_of_source

PROJECT = Path("projects") / "PartialReID"


def evaluated(checkout: Path, words: Sequence[str], folder: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of an evaluation in a checkout, and its results.json.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(checkout / PROJECT), str(checkout)])
    command = [sys.executable, str(PROJECT / "train_net.py"), "--eval-only", *words]
    command += ["OUTPUT_DIR", str(folder)]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    taken = time.perf_counter() - start
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-5:]
        raise RuntimeError(f'the evaluation in "{checkout}" failed:\n' + "\n".join(said))
    return taken, json.loads((folder / "results.json").read_text())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", required=True, type=Path, help="folder of the other checkout")
    parser.add_argument("--config-file", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--here", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="here alone"
    )
    parser.add_argument("keys", nargs="*", help="config keys and values, for both")
    args = parser.parse_args(arguments)
    here = [word for pair in args.here for word in pair]
    common = ["--config-file", str(args.config_file.resolve()), *args.keys]
    sides = {
        "the other": (args.other.resolve(), common),
        "this": (ROOT, [*common, *here]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    results = {}
    for _ in range(args.rounds):
        for name, (checkout, words) in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                taken, results[name] = evaluated(checkout, words, Path(folder))
            seconds[name].append(taken)
    rows = []
    for name, (checkout, _) in sides.items():
        sets = {key: value for key, value in results[name].items() if key != "run"}
        found = next(iter(sets.values()))
        rows.append(
            {
                "checkout": name,
                "commit": (commit_of_source(checkout / PROJECT / "train_net.py") or "unknown")[:7],
                "s": float(np.median(seconds[name])),
                "of the other": float(np.median(seconds[name]) / np.median(seconds["the other"])),
                **{
                    f"{kind}, {figure}": found[kind][figure]
                    for kind in ("global", "reconstruction", "fused")
                    for figure in ("Rank-1", "mAP")
                },
            }
        )
    report("checkouts", f"{' '.join(args.keys)}, here alone: {' '.join(here)}", rows)


if __name__ == "__main__":
    main()
