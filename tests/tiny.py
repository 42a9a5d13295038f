"""The smallest complete job: a tiny network, a few drawn people, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from partialreid.commands.train import main

CONFIG = "projects/PartialReID/configs/Base-Partial.yml"


def options(root: Path, output: Path, **changes: Any) -> list[str]:
    """Config keys and values of the tiny job.

    Dots in the names of `changes` are written as two underscores; None leaves a key out.
    """
    keys = {
        "MODEL.DEVICE": "cpu",
        "MODEL.BACKBONE.NAME": "build_mobilenetv2_stride_backbone",
        "MODEL.BACKBONE.DEPTH": "0.25x",
        "MODEL.BACKBONE.FEAT_DIM": 1280,
        "MODEL.BACKBONE.PRETRAIN": False,
        "MODEL.BACKBONE.WITH_IBN": False,
        "MODEL.HEADS.DSR.KERNELS": "(1,2)",
        "INPUT.SIZE_TRAIN": "[64,32]",
        "INPUT.SIZE_TEST": "[64,32]",
        "DATASETS.NAMES": "('SyntheticPartial',)",
        "DATASETS.TESTS": "('SyntheticPartial',)",
        "DATASETS.ROOT": root,
        "DATASETS.SYNTHETIC.TRAIN_IDS": 12,
        "DATASETS.SYNTHETIC.TEST_IDS": 10,
        "DATALOADER.NUM_WORKERS": 0,
        "SOLVER.IMS_PER_BATCH": 16,
        "SOLVER.BASE_LR": 0.002,
        "SOLVER.MAX_EPOCH": 2,
        "SOLVER.WARMUP_ITERS": 2,
        "SOLVER.DELAY_EPOCHS": 1,
        "SOLVER.CHECKPOINT_PERIOD": 1,
        "TEST.EVAL_PERIOD": 1,
        "TEST.IMS_PER_BATCH": 32,
        "LOG_PERIOD": 1,
        "OUTPUT_DIR": output,
    }
    keys.update({name.replace("__", "."): value for name, value in changes.items()})
    return [str(part) for pair in keys.items() if pair[1] is not None for part in pair]


def run(root: Path, output: Path, *flags: str, **changes: Any) -> dict[str, Any]:
    """Run the tiny job to its end and return its results.json."""
    assert main(["--config-file", CONFIG, *flags, *options(root, output, **changes)]) == 0
    return json.loads((output / "results.json").read_text())


def evaluate(root: Path, weights: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """Evaluate a checkpoint of the tiny job: its results.json.

    Rounding ranks what so small a training makes, and a training's own evaluation, which folds no
    batch norm, rounds otherwise.
    """
    return run(root, output, "--eval-only", MODEL__WEIGHTS=weights, **changes)


def records(output: Path, name: str) -> list[dict[str, Any]]:
    """The lines of a training's metrics.json that hold a value of this name."""
    lines = (output / "metrics.json").read_text().splitlines()
    return [record for record in map(json.loads, lines) if name in record]


def losses(output: Path) -> dict[int, float]:
    """Total loss by iteration, from the metrics that a training writes."""
    return {r["iteration"]: r["total_loss"] for r in records(output, "total_loss")}


def draw(path: Path, seed: int) -> None:
    """A picture of random colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def make_data_sets(root: Path) -> None:
    """Market-1501 and the three partial sets, a few pictures each."""
    market = root / "Market-1501-v15.09.15"
    for pid in range(1, 6):
        for camera in (1, 2):
            for shot in (1, 2):
                name = f"{pid:04d}_c{camera}s1_{shot:06d}_00.jpg"
                draw(market / "bounding_box_train" / name, pid)
                draw(market / "bounding_box_test" / name, pid)
        draw(market / "query" / f"{pid:04d}_c1s1_000009_00.jpg", pid)
    for pid in range(1, 4):
        draw(root / "Partial_REID" / "partial_body_images" / f"{pid:03d}_001.jpg", pid)
        draw(root / "Partial_REID" / "whole_body_images" / f"{pid:03d}_002.jpg", pid)
        draw(root / "PartialiLIDS" / "query" / f"{pid:03d}_1.jpg", pid)
        draw(root / "PartialiLIDS" / "gallery" / f"{pid:03d}_2.jpg", pid)
        draw(root / "OccludedREID" / "query" / f"{pid:03d}_01.jpg", pid)
        draw(root / "OccludedREID" / "gallery" / f"{pid:03d}_02.jpg", pid)
