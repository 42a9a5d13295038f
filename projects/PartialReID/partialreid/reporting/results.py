"""What an evaluation leaves behind: a table in the log and results.json."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml
from tabulate import tabulate

from ..metrics.report import FIGURES
from ..runtime.machine_record import machine_record, peak_memory_gb
from ..runtime.source_version import commit_of_source, version_of_source

DISTANCES = ("global", "reconstruction", "fused")
PACKAGES = ("fastreid", "torch", "torchvision", "numpy", "opencv-python-headless")


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
            label = distance if distance != "fused" else fused_label(report)
            rows.append(
                [name, label, *(figure_cell(report, distance, figure) for figure in FIGURES)]
            )
        if "oracle" in report:
            rows.append([name, *oracle_cells(report["oracle"])])
    headers = ["test set", "distance", *FIGURES]
    align = ("left", "left", *("right" for _ in FIGURES))
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def oracle_cells(oracle: Mapping[str, float]) -> list[str]:
    """What the best lambda of the test set itself gives, said to be such, and its figures."""
    label = f"fused, lambda {oracle['lambda']:.2f} (oracle: chosen on this test set)"
    return [label, *(f"{oracle[f]:.2f}" if f in oracle else "" for f in FIGURES)]


def fused_label(report: Mapping[str, Any]) -> str:
    """ "fused", with lambda and how it was chosen."""
    if report["lambda_selection"] == "crossfit":
        low, high = sorted(report["lambdas"])
        return f"fused, lambda {low:.2f} and {high:.2f} (cross-fitted)"
    label = f"fused, lambda {report['lambda']:.2f}"
    if report["lambda_selection"] == "oracle":
        label += " (oracle: chosen on this test set)"
    return label


def figure_cell(report: Mapping[str, Any], distance: str, figure: str) -> str:
    """A figure with its 95 % interval, or with its standard deviation over single-shot rounds."""
    text = f"{report[distance][figure]:.2f}"
    interval = report.get("intervals", {}).get(distance, {}).get(figure)
    if interval and figure in ("Rank-1", "mAP"):
        return f"{text} [{interval[0]:.1f}, {interval[1]:.1f}]"
    if "single_shot" in report:
        return f"{text} ± {report['single_shot'][distance][figure][1]:.2f}"
    return text


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def run_record(cfg: Any, world_size: int) -> dict[str, Any]:
    """What is needed to make the figures again: versions, commit, seed, protocol and config."""
    dsr = cfg.TEST.DSR
    return {
        "versions": {
            "python": platform.python_version(),
            "partialreid": version_of_source(),
            **{package: _version(package) for package in PACKAGES},
        },
        "machine": machine_record(cfg.MODEL.DEVICE),
        "peak_memory_gb": peak_memory_gb(),
        "commit": commit_of_source(),
        "seed": cfg.SEED,
        "processes": world_size,
        "device": cfg.MODEL.DEVICE,
        "protocol": {
            "codes": dsr.CODES,
            "squared": dsr.SQUARED,
            "lasso_beta": dsr.LASSO_BETA,
            "kappa": dsr.KAPPA,
            "lambda": dsr.LAMBDA,
            "lambda_selection": dsr.LAMBDA_SELECTION,
            "topk": dsr.TOPK,
            "shortlist": dsr.SHORTLIST,
            "coarse": dict(dsr.COARSE),
            "fill": dsr.FILL,
            "cameras": dsr.CAMERAS,
            "storage": dsr.STORAGE,
            "derived_seed": cfg.DATASETS.DERIVED_SEED,
            "derived": yaml.safe_load(cfg.DATASETS.DERIVED.dump()),
            "keep_ratio": cfg.INPUT.KEEP_RATIO,
            "lambda_step": dsr.LAMBDA_STEP,
            "gallery": dsr.PROTOCOL,
            "single_shot_rounds": dsr.SINGLE_SHOT_ROUNDS,
            "bootstrap_rounds": dsr.BOOTSTRAP_ROUNDS,
            "protocol_seed": dsr.PROTOCOL_SEED,
        },
        "config": yaml.safe_load(cfg.dump()),
    }
