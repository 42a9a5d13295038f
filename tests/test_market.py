"""Real pedestrians: a short training, and the original's checkpoint on part of Market-1501."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from partialreid.commands.train import build_parser, main
from partialreid.engine.configuration import setup_config
from partialreid.engine.inference import build_evaluator, evaluate_model, load_model
from partialreid.metrics.fusion import fuse
from partialreid.metrics.report import summarize

CONFIG = "projects/PartialReID/configs/market_mobilenetv2.yml"
SPLIT = "Market-1501-v15.09.15"


@pytest.fixture(scope="module")
def small_market(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to part of Market-1501: 24 training identities, 40 queries, 1,200 in the gallery."""
    root = tmp_path_factory.mktemp("market")
    source = market / SPLIT
    train = sorted(os.listdir(source / "bounding_box_train"))
    ids = sorted({name[:4] for name in train})[:24]
    query = sorted(os.listdir(source / "query"))[::84][:40]
    wanted = {name[:4] for name in query}
    gallery = [n for n in sorted(os.listdir(source / "bounding_box_test")) if n[:2] != "-1"]
    matches = [n for n in gallery if n[:4] in wanted]
    others = [n for n in gallery if n[:4] not in wanted]
    parts = {
        "bounding_box_train": [n for n in train if n[:4] in ids],
        "query": query,
        "bounding_box_test": matches + others[::40],
    }
    for part, names in parts.items():
        (root / SPLIT / part).mkdir(parents=True)
        for name in names:
            if name.endswith(".jpg"):
                (root / SPLIT / part / name).symlink_to(source / part / name)
    return root


def evaluate(root: Path, output: Path, *options: str) -> dict:
    arguments = ["--config-file", CONFIG, *options]
    arguments += ["MODEL.DEVICE", "cpu", "DATASETS.ROOT", str(root), "OUTPUT_DIR", str(output)]
    assert main(arguments) == 0
    return json.loads((output / "results.json").read_text())


@pytest.mark.slow(minutes=10)
def test_original_checkpoint_gives_its_numbers(
    original_checkpoint: Path, market: Path, tmp_path: Path
) -> None:
    """All 3,368 queries against 15,913: what the original code reports for its own checkpoint."""
    arguments = ["MODEL.DEVICE", "cpu", "DATASETS.ROOT", str(market), "OUTPUT_DIR", str(tmp_path)]
    arguments += ["MODEL.WEIGHTS", str(original_checkpoint), "DATASETS.TESTS", "('Market1501',)"]
    arguments += ["TEST.DSR.SHORTLIST", "global", "TEST.DSR.LAMBDA_SELECTION", "fixed"]
    parser = build_parser()
    cfg = setup_config(parser.parse_args(["--config-file", CONFIG, *arguments]))
    loader, evaluator = build_evaluator(cfg, "Market1501", keep_distances=True)
    results = evaluate_model(load_model(cfg, cfg.MODEL.WEIGHTS), loader, evaluator)
    wanted = {
        "global": (72.36, 49.48),
        "reconstruction": (71.64, 46.14),
        "fused": (74.41, 50.81),
    }
    for name, (rank1, mean_ap) in wanted.items():
        assert results[f"{name}/Rank-1"] == pytest.approx(rank1, abs=0.2), name
        assert results[f"{name}/mAP"] == pytest.approx(mean_ap, abs=0.2), name
    items = loader.dataset.img_items
    query, gallery = items[:3368], items[3368:]
    ids = tuple(
        np.array([item[field] for item in part]) for field in (1, 2) for part in (query, gallery)
    )
    distances = evaluator.distances
    half = summarize(fuse(distances["global"], distances["reconstruction"], 0.5), ids)
    assert half["Rank-1"] == pytest.approx(73.49, abs=0.2)
    assert half["mAP"] == pytest.approx(50.61, abs=0.2)


@pytest.mark.slow
def test_partial_queries_gain_from_reconstruction_and_from_their_proportions(
    original_checkpoint: Path, small_market: Path, tmp_path: Path
) -> None:
    arguments = ("--eval-only", "MODEL.WEIGHTS", str(original_checkpoint), "INPUT.KEEP_RATIO")
    tests = ("DATASETS.TESTS", "('Market1501Partial',)")
    stretched, kept = (
        evaluate(small_market, tmp_path / policy, *arguments, policy, *tests)["Market1501Partial"]
        for policy in ("off", "width")
    )
    assert stretched["reconstruction"]["Rank-1"] > stretched["global"]["Rank-1"]
    assert kept["global"]["mAP"] > stretched["global"]["mAP"]
    assert kept["reconstruction"]["mAP"] > stretched["reconstruction"]["mAP"]


@pytest.mark.slow
def test_short_training_on_real_images(
    imagenet_weights: Path, small_market: Path, tmp_path: Path
) -> None:
    results = evaluate(
        small_market,
        tmp_path,
        *("MODEL.BACKBONE.PRETRAIN_PATH", str(imagenet_weights)),
        *("SOLVER.MAX_EPOCH", "1", "SOLVER.IMS_PER_BATCH", "32", "SOLVER.WARMUP_ITERS", "2"),
        *("DATASETS.TESTS", "('Market1501',)", "LOG_PERIOD", "1"),
        *("TEST.DSR.LAMBDA_SELECTION", "fixed"),
    )
    records = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    losses = [record["total_loss"] for record in records if "total_loss" in record]
    assert losses[-1] < losses[0]
    # 40 queries with about twenty matches each among 1,200: chance is near 2 %.
    assert results["Market1501"]["fused"]["Rank-1"] > 10
