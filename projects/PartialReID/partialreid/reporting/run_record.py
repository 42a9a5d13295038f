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


def run_record(cfg: Any, world_size: int, dtype: str = "float32") -> dict[str, object]:
    """Versions, machine, commit, seed, protocol and config of a run.

    Args:
        cfg: config.
        world_size: how many processes.
        dtype: what the network computed in; a config may say "auto".
    """
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
        "protocol": protocol(cfg, dtype),
        "config": yaml.safe_load(cfg.dump()),
    }


def protocol(cfg: Any, dtype: str = "float32") -> dict[str, object]:
    """All that decides the numbers of an evaluation besides the network and the images.

    What moves them by rounding alone, as batches and memory do, is left out.
    """
    test, dsr, images = cfg.TEST, cfg.TEST.DSR, cfg.INPUT
    return {
        "reconstruction": dsr.ENABLED,
        "codes": dsr.CODES,
        "squared": dsr.SQUARED,
        "lasso_beta": dsr.LASSO_BETA,
        "lasso_tolerance": dsr.LASSO_TOLERANCE,
        "kappa": dsr.KAPPA,
        "distance": dsr.DISTANCE,
        "lambda": dsr.LAMBDA,
        "lambda_selection": dsr.LAMBDA_SELECTION,
        "lambda_step": dsr.LAMBDA_STEP,
        "topk": dsr.TOPK,
        "shortlist": dsr.SHORTLIST,
        "coarse": _plain(dsr.COARSE),
        "fill": dsr.FILL,
        "storage": dsr.STORAGE,
        "metric": test.METRIC,
        "aqe": _plain(test.AQE),
        "rerank": _plain(test.RERANK),
        "roc": test.ROC.ENABLED,
        "gallery": dsr.PROTOCOL,
        "single_shot_rounds": dsr.SINGLE_SHOT_ROUNDS,
        "bootstrap_rounds": dsr.BOOTSTRAP_ROUNDS,
        "protocol_seed": dsr.PROTOCOL_SEED,
        "cameras": dsr.CAMERAS,
        "derived_seed": cfg.DATASETS.DERIVED_SEED,
        "derived": _plain(cfg.DATASETS.DERIVED),
        "synthetic": _plain(cfg.DATASETS.SYNTHETIC),
        "held_out": cfg.DATASETS.HELD_OUT,
        "size": list(images.SIZE_TEST),
        "crop": {"ENABLED": images.CROP.ENABLED, "SIZE": list(images.CROP.SIZE)},
        "keep_ratio": images.KEEP_RATIO,
        "keep_ratio_step": images.KEEP_RATIO_STEP,
        "keep_ratio_longest": images.KEEP_RATIO_LONGEST,
        "keep_ratio_whole": images.KEEP_RATIO_WHOLE,
        "detail": images.DETAIL,
        "flip": test.FLIP.ENABLED,
        "inference_dtype": dtype,
    }


def _plain(node: Any) -> object:
    """A node of a config with lists in place of tuples, as JSON has them."""
    return yaml.safe_load(node.dump())
