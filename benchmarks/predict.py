#!/usr/bin/env python3
"""What would a million and a hundred million gallery images cost? A prediction, not a measurement.

Reads the fit of `benchmarks.scale` (logs/bench/scale.json, or a path) for this machine. For GPUs it
counts arithmetic and bytes and divides by the data sheet of an H100 SXM: 67 TFLOP/s in float32
without tensor cores (the exact stage forbids TF32), 3.35 TB/s, 80 GB; half is assumed to be
reached.

    python -m benchmarks.predict [logs/bench/scale.json]
"""

from __future__ import annotations

import argparse
import json
import math
import os

from tabulate import tabulate

from benchmarks.bench import RESULTS

CHANNELS, COLUMNS, LENGTH, TOPK = 1280, 70, 2080, 100
FLOPS, BANDWIDTH, MEMORY, REACHED = 67e12, 3.35e12, 80e9, 0.5
QUERIES_AT_ONCE = 256
GALLERIES = (20e3, 1e6, 100e6)
BYTES = {
    "coarse index": LENGTH + 4,
    "global features": 4 * CHANNELS,
    "columns in float16": 2 * CHANNELS * COLUMNS,
}
# A query's columns to every process, in float16; a shortlist of distances and numbers back.
NETWORK_QUERY, NETWORK_LIST = 2 * CHANNELS * COLUMNS, 12 * TOPK


def on_this_machine(fit: dict[str, float], galleries: float) -> dict[str, float]:
    """Milliseconds per query and hours to index, from the measured coefficients."""
    search = (fit["search, s per pair"] + fit["sort, s per pair"]) * galleries
    # In a large gallery no two queries share a shortlisted image.
    exact = TOPK * fit["exact, s per unshared image"]
    return {
        "index, hours": fit["index, s per gallery image"] * galleries / 3600,
        "search, ms": 1e3 * search,
        "exact, ms": 1e3 * exact,
    }


def on_gpus(galleries: float, gpus: int) -> dict[str, float]:
    """Milliseconds per query on H100s that hold equal parts of the coarse index."""
    part = galleries / gpus
    arithmetic = 2 * LENGTH * part / (FLOPS * REACHED)
    reading = LENGTH * part / (BANDWIDTH * REACHED) / QUERIES_AT_ONCE
    pair = 2 * CHANNELS * COLUMNS**2
    # Gram matrix and projector take two such products, Cholesky and solves about one more.
    exact = TOPK / gpus * (pair + 3 * pair) / (FLOPS * REACHED)
    return {"search, ms": 1e3 * max(arithmetic, reading), "exact, ms": 1e3 * exact}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "file", nargs="?", default=str(RESULTS / "scale.json"), help="what benchmarks.scale wrote"
    )
    path = parser.parse_args(argv).file
    if not os.path.isfile(path):
        parser.error(f'there is no "{path}": run python -m benchmarks.scale, or name its file')
    with open(path, encoding="utf-8") as file:
        fit = json.load(file)["fitted"]
    rows = []
    for galleries in GALLERIES:
        rows.append(
            {"gallery": f"{galleries:,.0f}", "on": "this machine"}
            | {key: f"{value:.3g}" for key, value in on_this_machine(fit, galleries).items()}
        )
        least = max(1, math.ceil(galleries * BYTES["coarse index"] / MEMORY))
        for gpus in sorted({least, 8, 64}):
            if gpus >= least:
                rows.append(
                    {"gallery": f"{galleries:,.0f}", "on": f"{gpus} H100"}
                    | {key: f"{value:.3g}" for key, value in on_gpus(galleries, gpus).items()}
                )
    print(tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True))
    sizes = [
        {"kept": name} | {f"{g:,.0f}": f"{size * g / 1e9:,.1f} GB" for g in GALLERIES}
        for name, size in BYTES.items()
    ]
    print(tabulate(sizes, headers="keys", tablefmt="pipe", disable_numparse=True))
    print(
        f"network: {NETWORK_QUERY / 1e3:.0f} kB of columns to every process and "
        f"{NETWORK_LIST / 1e3:.1f} kB of shortlist back from each, for each query"
    )


if __name__ == "__main__":
    main()
