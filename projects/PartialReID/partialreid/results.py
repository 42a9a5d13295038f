"""What an evaluation leaves behind: a table in the log and results.json."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

FIGURES = ("Rank-1", "Rank-5", "Rank-10", "mAP", "mINP")
DISTANCES = ("global", "reconstruction", "fused")
PACKAGES = ("partialreid", "fastreid", "torch", "torchvision", "numpy", "opencv-python-headless")


def results_table(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table of all test sets and distances.

    Args:
        reports: for each test set what `DsrEvaluator.report` holds.
    """
    rows = []
    for name, report in reports.items():
        for distance in DISTANCES:
            if distance not in report:
                continue
            label = distance
            if distance == "fused":
                label += f", lambda {report['lambda']:.2f}"
                if report["lambda_selection"] == "oracle":
                    label += " (oracle: chosen on this test set)"
            rows.append([name, label, *(report[distance][figure] for figure in FIGURES)])
    headers = ["test set", "distance", *FIGURES]
    return tabulate(rows, headers=headers, tablefmt="pipe", floatfmt=".2f")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of this source tree, marked if it has changes; None outside a git checkout."""
    here = Path(__file__).resolve().parent
    # Without tags, whose names would take the place of the commit.
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    command = ["git", "-C", str(here), *describe]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def run_record(cfg: Any, world_size: int) -> dict[str, Any]:
    """What is needed to make the figures again: versions, commit, seed, protocol and config."""
    dsr = cfg.TEST.DSR
    return {
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in PACKAGES}},
        "machine": {"processor": platform.machine(), "system": platform.system()},
        "commit": _commit(),
        "seed": cfg.SEED,
        "processes": world_size,
        "device": cfg.MODEL.DEVICE,
        "protocol": {
            "kappa": dsr.KAPPA,
            "lambda": dsr.LAMBDA,
            "lambda_selection": dsr.LAMBDA_SELECTION,
            "topk": dsr.TOPK,
            "fill": dsr.FILL,
            "cameras": dsr.CAMERAS,
            "storage": dsr.STORAGE,
            "derived_seed": cfg.DATASETS.DERIVED_SEED,
            "gallery": "full",
        },
        "config": yaml.safe_load(cfg.dump()),
    }
