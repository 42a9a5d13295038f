"""The record of a run in results.json: what is needed to compute its numbers again."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

from ..runtime.machine_record import machine_record, peak_memory_gb
from ..runtime.source_version import commit_of_source, version_of_source

PACKAGES = ("fastreid", "torch", "torchvision", "numpy", "opencv-python-headless")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def run_record(cfg: Any, world_size: int) -> dict[str, Any]:
    """Versions, machine, commit, seed, protocol and config of a run."""
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
            "lasso_tolerance": dsr.LASSO_TOLERANCE,
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
