#!/usr/bin/env python3
"""Does it pay to keep freed memory (`runtime.freed_memory`)? Images a second, with and without."""

from __future__ import annotations

import subprocess
import sys
import time

import torch
from fastreid.config import get_cfg

import partialreid
from benchmarks.bench import ROOT, no_options, report
from partialreid.runtime.freed_memory import keep_freed_memory

CONFIG = ROOT / "projects/PartialReID/configs/market_mobilenetv2.yml"
IMAGES = 256


def measure(keep: bool, batch: int) -> float:
    """Images a second through the network of market_mobilenetv2.yml, random weights."""
    from fastreid.modeling import build_model

    if keep:
        keep_freed_memory()
    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    cfg.merge_from_file(str(CONFIG))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.PRETRAIN = False
    cfg.MODEL.HEADS.NUM_CLASSES = 751
    model = build_model(cfg).eval()
    images = torch.rand(batch, 3, 256, 128) * 255
    with torch.inference_mode():
        for _ in range(2):
            start = time.perf_counter()
            for _ in range(IMAGES // batch):
                model(images)
    return IMAGES / (time.perf_counter() - start)


def main() -> None:
    if len(sys.argv) == 3:
        # A process of its own: what malloc is told holds until the process ends.
        print(measure(sys.argv[1] == "keep", int(sys.argv[2])))
        return
    no_options(__doc__)
    rows = []
    for batch in (8, 32, 128):
        speeds = {}
        for mode in ("plain", "keep"):
            command = [sys.executable, "-m", "benchmarks.freed_memory", mode, str(batch)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            speeds[mode] = float(done.stdout.split()[-1])
        rows.append(
            {
                "batch": batch,
                "plain, images/s": speeds["plain"],
                "kept, images/s": speeds["keep"],
                "times": speeds["keep"] / speeds["plain"],
            }
        )
    report("freed_memory", "MobileNetV2 at 256 x 128, stride 16, inference", rows)


if __name__ == "__main__":
    main()
