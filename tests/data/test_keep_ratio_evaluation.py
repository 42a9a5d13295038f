"""Whole evaluations with images of several sizes: one image at a time, and two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from partialreid.commands.train import build_parser, main
from partialreid.data.keep_ratio import target_size
from partialreid.engine.configuration import setup_config
from partialreid.engine.inference import build_evaluator, evaluate_model, load_model
from partialreid.metrics.fusion import fuse
from partialreid.metrics.report import summarize
from tests import tiny
from tests.reconstruction_oracle import oracle

DISTANCES = ("global", "reconstruction", "fused")
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def weights(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    tiny.run(root, output, SOLVER__MAX_EPOCH=4, TEST__EVAL_PERIOD=0)
    return output / "model_final.pth"


def config(root: Path, output: Path, **changes: Any) -> Any:
    arguments = ["--config-file", tiny.CONFIG, *tiny.options(root, output, **changes)]
    return setup_config(build_parser().parse_args(arguments))


def features_of(path: str, model: torch.nn.Module, flip: bool) -> tuple[torch.Tensor, ...]:
    """Global feature (1, C), unit columns (C, N) and weights (N,) of one file, read by itself."""
    image = Image.open(path).convert("RGB")
    # 17 pixels have two cells; the next sizes of 64 x 32 in steps of 16 that have them are 32 x 32.
    height, width = target_size((image.height, image.width), (64, 32), "width", 16, (32, 32))
    pixels = np.array(image.resize((width, height), Image.Resampling.BICUBIC))
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        normal = (batch - model.pixel_mean) / model.pixel_std
        maps = model.backbone(normal)
        if flip:
            maps = (maps + model.backbone(normal.flip(3)).flip(3)) / 2
        feature, columns, weights = model.heads(maps)
    return F.normalize(feature), F.normalize(columns[0], dim=0), weights[0]


@pytest.mark.slow
@pytest.mark.parametrize("flip", [False, True])
def test_equal_to_one_image_at_a_time(
    root: Path, weights: Path, tmp_path: Path, flip: bool
) -> None:
    cfg = config(
        root,
        tmp_path,
        INPUT__KEEP_RATIO="width",
        TEST__FLIP__ENABLED=flip,
        TEST__DSR__TOPK=0,
        TEST__DSR__LAMBDA_SELECTION="fixed",
        MODEL__WEIGHTS=weights,
    )
    model = load_model(cfg, str(weights))
    loader, evaluator = build_evaluator(cfg, "SyntheticPartial", keep_distances=True)
    results = evaluate_model(model, loader, evaluator)
    model.eval()
    items, queries = loader.dataset.img_items, evaluator._num_query
    shapes = [tuple(batch["images"].shape) for batch in loader]
    assert len({shape[2:] for shape in shapes}) > 3
    assert max(shape[0] for shape in shapes) > 8

    seen = [features_of(path, model, flip) for path, _, _ in items]
    assert len({columns.shape for _, columns, _ in seen}) > 2
    features = torch.cat([feature for feature, _, _ in seen])
    columns = [columns for _, columns, _ in seen]
    near = 1 - features[:queries] @ features[queries:].T
    matched = oracle(columns[:queries], columns[queries:], [w for _, _, w in seen[:queries]])
    wanted = {"global": near, "reconstruction": matched.float()}
    wanted["fused"] = fuse(*wanted.values(), 0.8)
    pids, camids = (np.array([item[field] for item in items]) for field in (1, 2))
    ids = (pids[:queries], pids[queries:], camids[:queries], camids[queries:])
    for name in DISTANCES:
        ours = evaluator.distances[name]
        assert ours.std() > 100 * TOLERANCE
        torch.testing.assert_close(ours, wanted[name], atol=TOLERANCE, rtol=0)
        # Ranks of nearly equal distances depend on rounding, so that these are not the oracle's.
        for metric, value in summarize(ours, ids).items():
            assert results[f"{name}/{metric}"] == pytest.approx(value, abs=1e-6)


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(root: Path, weights: Path, tmp_path: Path) -> None:
    """One image in a batch on either side: rounding depends on the batch, and ranks on rounding."""
    keys = {"MODEL__WEIGHTS": weights, "INPUT__KEEP_RATIO": "width"}
    one = tiny.run(root, tmp_path / "one", "--eval-only", **keys, TEST__IMS_PER_BATCH=1)
    flags = ("--eval-only", "--num-gpus", "2")
    two = tiny.run(root, tmp_path / "two", *flags, **keys, TEST__IMS_PER_BATCH=2)
    assert two["run"]["processes"] == 2
    assert one["run"]["protocol"]["keep_ratio"] == "width"
    for name in DISTANCES:
        wanted = one["SyntheticPartial"][name]
        assert two["SyntheticPartial"][name] == pytest.approx(wanted, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["fit", "width", "height", "area"])
def test_absurd_crops_are_evaluated(
    tmp_path: Path, make_market, weights: Path, policy: str
) -> None:
    """A map with no room for the largest window would end the evaluation with an error."""
    root = make_market(tmp_path / "data")
    folder = root / "Market-1501-v15.09.15" / "query"
    for name, size in (("0031", (5, 200)), ("0040", (200, 5))):
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}_c1s1_000000_00.jpg")
    keys = {"INPUT__KEEP_RATIO": policy, "DATASETS__TESTS": "('Market1501',)"}
    # Stride 16: a map of 4 x 2 cells has just the room.
    results = tiny.run(root, tmp_path / "out", "--eval-only", MODEL__WEIGHTS=weights, **keys)
    assert 0 < results["Market1501"]["fused"]["mAP"] <= 100


def test_no_room_is_said_at_once(
    root: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"INPUT__KEEP_RATIO": "width", "MODEL__HEADS__DSR__KERNELS": "(1,3)"}
    options = tiny.options(root, tmp_path, MODEL__WEIGHTS=weights, **keys)
    with pytest.raises(SystemExit):
        main(["--config-file", tiny.CONFIG, "--eval-only", *options])
    error = capsys.readouterr().err
    assert "4x2 cells" in error and "MODEL.HEADS.DSR.KERNELS" in error
