"""The parts of `make gpu` at tiny size on the CPU and the stand-in GPU, and what holds them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import (
    bench,
    distances,
    gpu,
    gpu_groups,
    gpu_prediction,
    gpu_training,
    made_up_evaluation,
    shortlists,
)
from benchmarks.gpu import Command
from benchmarks.made_up_evaluation import Sizes
from tests.standin.gpu import StandInGpu

SIZES = Sizes(queries=20, galleries=60, people=10, channels=256, columns=6)
OPTIONS = ("TEST.DSR.TOPK", 8, "TEST.DSR.COARSE.DIMENSIONS", 8, "TEST.DSR.BOOTSTRAP_ROUNDS", 10)
SMALL_NETWORK = (
    *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.FEAT_DIM", 128),
    *("MODEL.BACKBONE.WITH_IBN", False, "INPUT.SIZE_TRAIN", [64, 32]),
    *("MODEL.HEADS.DSR.KERNELS", (1, 2), "MODEL.CHANNELS_LAST", "off"),
    *("MODEL.LOSSES.VERIFICATION.PAIRS", 2),
)


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "OUT", tmp_path / "gpu.json")
    assert gpu.main([]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: there is no GPU: torch ")
    assert (said.err.count("\n"), said.out) == (1, "")
    assert not list(tmp_path.iterdir())


def test_one_part_takes_nothing_else_with_it() -> None:
    python = [sys.executable, "-c"]
    parts = {
        "good": Command([*python, "print('log'); print('{\"x\": 1}')"]),
        "bad": Command([*python, "print('before'); raise ValueError('why')"]),
        "set": Command([*python, "import os; print(os.environ['CARD'])"], {"CARD": "third"}),
        "slow": Command([*python, "import time; print('begun', flush=True); time.sleep(60)"]),
    }
    done = gpu.run(parts, seconds=3)
    assert {name: part["passed"] for name, part in done.items()} == {
        "good": True,
        "bad": False,
        "set": True,
        "slow": False,
    }
    assert done["good"]["found"] == {"x": 1}
    assert done["bad"]["said"][0] == "before"
    assert done["bad"]["said"][-1] == "ValueError: why"
    assert done["set"]["said"] == ["third"]
    assert done["slow"]["said"][0] == "begun"
    assert done["slow"]["said"][-1].startswith("not finished after ")
    assert done["slow"]["seconds"] < 30


def test_the_file_names_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu, "machine_record", lambda _: {"gpus": [{"name": "a card"}]})
    monkeypatch.setattr(gpu, "OUT", tmp_path / "logs" / "gpu.json")
    part = Command([sys.executable, "-c", "print('[2]')"])
    monkeypatch.setattr(gpu, "commands", lambda: {"part": part})
    assert gpu.main([]) == 0
    record = json.loads((tmp_path / "logs" / "gpu.json").read_text())
    assert record["machine"]["gpus"] == [{"name": "a card"}]
    assert record["machine"]["torch"] == torch.__version__
    if (bench.ROOT / ".git").exists():
        assert len(record["commit"].removesuffix("-dirty")) == 40
    assert record["parts"]["part"]["found"] == [2]
    assert record["predicted for an H100"] == gpu_prediction.predicted()
    monkeypatch.setattr(gpu, "commands", lambda: {"part": Command([sys.executable, "-c", "1/0"])})
    assert gpu.main([]) == 1
    assert "failed: part" in capsys.readouterr().out


def test_tests_run_on_one_gpu_and_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = gpu.commands()
    assert list(found) == ["tests on one GPU", "tests on all 2 GPUs", *gpu.PARTS]
    assert found["tests on one GPU"].environment == {"CUDA_VISIBLE_DEVICES": "5"}
    assert not found["tests on all 2 GPUs"].environment
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert list(gpu.commands()) == ["tests on one GPU", *gpu.PARTS]


def test_evaluation(standin: StandInGpu) -> None:
    found = [
        made_up_evaluation.measure(device, SIZES, options=OPTIONS)
        for device in (standin.name, "cpu")
    ]
    for part in found:
        assert part["images"] == SIZES._asdict()
        assert part["processes"] == 1
        assert 0 < part["seconds"]["of it matching"] <= part["seconds"]["evaluation"]
        # Better than chance, which finds one of ten people, and not all right.
        for distance in ("global", "reconstruction", "fused"):
            assert part["results"][f"{distance}/Rank-1"] > 20
        assert part["results"]["global/mAP"] < 99
    assert found[0]["results"] == pytest.approx(found[1]["results"], abs=1e-6)


@pytest.mark.slow
def test_groups(time_limit) -> None:
    with time_limit(300):
        found = gpu_groups.measure("cpu", 2)
    assert found["backend"] == "gloo"
    assert found["group of one"] == {"sum": 6.0, "gradient": 6.0}
    differences = found["largest difference of 2 processes to one"]
    assert set(differences) == {"global", "reconstruction"}
    assert max(differences.values()) < 1e-4


def test_training(standin: StandInGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_training, "WARM_UP", 1)
    monkeypatch.setattr(gpu_training, "STEPS", 1)
    rows = gpu_training.measure(standin.name, SMALL_NETWORK, batch=8)
    assert [(row["system"], row["precision"]) for row in rows] == [
        (system, precision) for system in gpu_training.SYSTEMS for precision in ("float32", "mixed")
    ]
    expected = gpu_training.measure("cpu", SMALL_NETWORK, batch=8)
    for row, other in zip(rows[::2], expected, strict=True):
        assert row["images per second"] > 0
        assert row["total loss"] == pytest.approx(other["total loss"], rel=1e-3)


def test_distances(standin: StandInGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "SHAPES", {"small": (32, 9)})
    for name, value in {"QUERIES": 6, "GALLERIES": 10, "SHORTLIST": 4, "ORACLE": (6, 8)}.items():
        monkeypatch.setattr(distances, name, value)
    (found,) = distances.measure(standin.name, scale=2)
    assert [row["pairs"] for row in found["rows"]] == [240, 240, 48, 16]
    assert max(found["errors"].values()) < 1e-4


@pytest.mark.parametrize("on_gpu", [False, True], ids=["cpu", "gpu"])
def test_shortlists(standin: StandInGpu, monkeypatch: pytest.MonkeyPatch, on_gpu: bool) -> None:
    for name, value in {"CHANNELS": 16, "COLUMNS": 5, "DIMENSIONS": 8, "TOPK": 4}.items():
        monkeypatch.setattr(shortlists, name, value)
    monkeypatch.setattr(shortlists, "ON_GPU" if on_gpu else "ON_CPU", ((1, 5), (5, 70)))
    rows = shortlists.measure(standin.name if on_gpu else "cpu", rounds=1)
    assert [(row["queries"], row["galleries"]) for row in rows] == [(1, 5), (5, 70)]
    for row in rows:
        assert min(row["all pairs, s"], row["coarse, s"]) > 0
        assert (row["auto"] == "none") == (row["expected times"] >= 1)
    assert rows[0]["auto"] == "none"


def test_the_page_holds_what_is_predicted() -> None:
    page = (bench.ROOT / "docs" / "gpu.md").read_text(encoding="utf-8").splitlines()
    for line in gpu_prediction.table().splitlines():
        # The last cell is for what is measured one day.
        assert any(row.startswith(line.removesuffix(" |")) for row in page), line


def test_predictions_are_of_the_data_sheet() -> None:
    found = gpu_prediction.predicted()
    pair = 2 * 2048 * 110**2 / 67e12 / 0.5
    assert found["distances, 2048 channels, 110 columns: microseconds a pair"] == pytest.approx(
        pair * 1e6, rel=0.02
    )
    every = found["evaluation, none: seconds of matching"]
    assert found["evaluation, coarse: seconds of matching"] < every
    assert every > 3368 * 15913 * 2 * 1280 * 70**2 / 33.5e12 * 0.98
