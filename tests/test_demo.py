"""The demo in small: it learns, and what it learns holds for people it has not seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from partialreid.commands.train import main
from tests import tiny

CONFIG = "projects/PartialReID/configs/demo.yml"
TEST_IDS = 16


@pytest.mark.slow
def test_training_beats_chance(tmp_path: Path) -> None:
    keys = {
        "MODEL.DEVICE": "cpu",
        "DATASETS.ROOT": tmp_path,
        "DATASETS.SYNTHETIC.TRAIN_IDS": 32,
        "DATASETS.SYNTHETIC.TEST_IDS": TEST_IDS,
        "DATALOADER.NUM_WORKERS": 0,
        "SOLVER.IMS_PER_BATCH": 32,
        "SOLVER.MAX_EPOCH": 6,
        "SOLVER.WARMUP_ITERS": 12,
        "LOG_PERIOD": 1,
        "OUTPUT_DIR": tmp_path / "out",
    }
    options = [str(part) for pair in keys.items() for part in pair]
    assert main(["--config-file", CONFIG, *options]) == 0
    losses = [loss for _, loss in sorted(tiny.losses(tmp_path / "out").items())]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    results = json.loads((tmp_path / "out" / "results.json").read_text())["SyntheticPartial"]
    # Each query has 4 matches among 4 * TEST_IDS gallery images: chance is 1 / TEST_IDS.
    for name in ("global", "reconstruction", "fused"):
        assert results[name]["Rank-1"] > 2 * 100 / TEST_IDS, name
