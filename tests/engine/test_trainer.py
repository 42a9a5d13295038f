"""Whole trainings and evaluations of a tiny network, through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from partialreid.engine import trainer_parts
from partialreid.engine.evaluated_epochs import Evaluated, read_evaluated, write_evaluated
from partialreid.engine.hooks import Evaluate, Save
from partialreid.engine.trainer import PartialTrainer
from partialreid.systems import reconstruction_baseline
from partialreid.systems.cut_queries import Cut, draw_cut
from tests import tiny

pytestmark = pytest.mark.slow  # by their trainings


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of four epochs."""
    output = tmp_path_factory.mktemp("trained")
    tiny.run(root, output, SOLVER__MAX_EPOCH=4)
    return output


def results(output: Path) -> dict:
    return json.loads((output / "results.json").read_text())


def test_training_lowers_the_loss(trained: Path) -> None:
    curve = tiny.losses(trained)
    start = sum(curve[i] for i in range(3)) / 3
    end = sum(curve[i] for i in sorted(curve)[-3:]) / 3
    assert end < 0.9 * start


def test_results_file(trained: Path) -> None:
    data = results(trained)
    report = data["SyntheticPartial"]
    for name in ("global", "reconstruction", "fused"):
        assert set(report[name]) == {"Rank-1", "Rank-5", "Rank-10", "mAP", "mINP"}
    assert report["lambda_selection"] == "crossfit"
    assert report["lambda"] == pytest.approx(sum(report["lambdas"]) / 2)
    run = data["run"]
    assert run["seed"] == 0
    assert run["config"]["SOLVER"]["MAX_EPOCH"] == 4
    assert {"versions", "commit", "protocol"} <= set(run)


def test_files_of_a_run(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert {"model_0000.pth", "model_0002.pth", "model_final.pth", "model_best.pth"} <= names
    assert {"log.txt", "config.yaml", "metrics.json", "last_checkpoint"} <= names
    assert not [name for name in names if name.endswith(".tmp")]
    assert (trained / "last_checkpoint").read_text() == "model_final.pth"
    assert "reconstruction" in (trained / "log.txt").read_text()


def test_model_best_is_the_best(trained: Path) -> None:
    lines = (trained / "metrics.json").read_text().splitlines()
    metrics = [r["metric"] for r in map(json.loads, lines) if "metric" in r]
    best = torch.load(trained / "model_best.pth", weights_only=True)
    assert best["best_metric"] == pytest.approx(max(metrics))


@pytest.mark.usefixtures("as_trained")
def test_eval_only_reproduces_the_table(root: Path, trained: Path, tmp_path: Path) -> None:
    weights = trained / "model_final.pth"
    again = tiny.run(root, tmp_path, "--eval-only", MODEL__WEIGHTS=weights)
    assert again["SyntheticPartial"] == results(trained)["SyntheticPartial"]


class Interrupted(Exception):
    """Stands for a power cut."""


def run_interrupted(root: Path, output: Path, epoch: int, **changes: Any) -> None:
    """Run the tiny job until this epoch is saved, but not yet evaluated."""
    after_epoch = Evaluate.after_epoch

    def cut(self: Evaluate) -> None:
        if self.trainer.epoch == epoch:
            raise Interrupted
        after_epoch(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evaluate, "after_epoch", cut)
        with pytest.raises(Interrupted):
            tiny.run(root, output, **changes)


def same_weights(one: Path, other: Path) -> bool:
    """Whether two trainings have ended with the same weights, to the last bit."""
    states = [
        torch.load(output / "model_final.pth", weights_only=True)["model"]
        for output in (one, other)
    ]
    return all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_resume_continues_to_the_same_state(root: Path, trained: Path, tmp_path: Path) -> None:
    run_interrupted(root, tmp_path, 1, SOLVER__MAX_EPOCH=4)
    assert (tmp_path / "last_checkpoint").read_text() == "model_0001.pth"
    assert not (tmp_path / "results.json").exists() or results(tmp_path) != results(trained)

    tiny.run(root, tmp_path, "--resume", SOLVER__MAX_EPOCH=4)
    resumed, whole = tiny.losses(tmp_path), tiny.losses(trained)
    assert set(range(18, 36)) <= set(resumed)
    assert resumed == {iteration: whole[iteration] for iteration in resumed}
    assert same_weights(trained, tmp_path)
    assert results(tmp_path)["SyntheticPartial"] == results(trained)["SyntheticPartial"]


def test_resume_draws_the_same_cuts(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The masks, the small images and the cuts of the queries are those of the straight run."""
    cuts: list[Cut] = []

    def noted(*args: Any) -> Cut:
        cuts.append(draw_cut(*args))
        return cuts[-1]

    monkeypatch.setattr(reconstruction_baseline, "draw_cut", noted)
    keys = {
        "MODEL__META_ARCHITECTURE": "ReconstructionBaseline",
        "INPUT__OCCLUSION__ENABLED": True,
        "INPUT__SHRINK__ENABLED": True,
        "INPUT__CUT__PROB": 0.7,
        "TEST__EVAL_PERIOD": 0,
    }
    tiny.run(root, tmp_path / "straight", **keys)
    straight = cuts.copy()
    # Some are cut, and each epoch otherwise than the other.
    assert len(set(straight)) > 3 and straight[:9] != straight[9:]
    cuts.clear()
    run_interrupted(root, tmp_path / "resumed", 0, **keys)
    assert cuts == straight[:9]
    tiny.run(root, tmp_path / "resumed", "--resume", **keys)
    assert cuts == straight
    assert same_weights(tmp_path / "straight", tmp_path / "resumed")


def test_resuming_a_finished_run_evaluates_it(root: Path, trained: Path) -> None:
    before, weights = results(trained), (trained / "model_final.pth").stat().st_mtime_ns
    again = tiny.run(root, trained, "--resume", SOLVER__MAX_EPOCH=4)
    assert again["SyntheticPartial"] == before["SyntheticPartial"]
    assert (trained / "model_final.pth").stat().st_mtime_ns == weights


def test_resumed_training_says_what_it_began_with(root: Path, tmp_path: Path) -> None:
    """Not the PRETRAIN that a resumption switches off, as the checkpoint holds all weights."""
    tiny.run(root, tmp_path, SOLVER__MAX_EPOCH=1)
    path = tmp_path / "model_final.pth"
    data = torch.load(path, weights_only=True)
    config = yaml.safe_load(data["config"])
    assert config["MODEL"]["BACKBONE"]["PRETRAIN"] is False
    config["MODEL"]["BACKBONE"]["PRETRAIN"] = True
    torch.save({**data, "config": yaml.safe_dump(config)}, path)
    tiny.run(root, tmp_path, "--resume", SOLVER__MAX_EPOCH=2)
    config = yaml.safe_load(torch.load(path, weights_only=True)["config"])
    assert config["MODEL"]["BACKBONE"]["PRETRAIN"] is True
    assert config["SOLVER"]["MAX_EPOCH"] == 2


def test_resumed_run_remembers_the_best_metric(root: Path, tmp_path: Path) -> None:
    tiny.run(root, tmp_path, SOLVER__MAX_EPOCH=1)
    write_evaluated(str(tmp_path), Evaluated(0, 1e6))
    before = (tmp_path / "model_best.pth").read_bytes()
    tiny.run(root, tmp_path, "--resume", SOLVER__MAX_EPOCH=2)
    assert (tmp_path / "model_best.pth").read_bytes() == before
    assert read_evaluated(str(tmp_path)) == Evaluated(1, 1e6)


def metrics(monkeypatch: pytest.MonkeyPatch, *values: float) -> list[float]:
    """Evaluations give these metrics in turn; those that are left."""
    left = list(values)
    monkeypatch.setattr(
        trainer_parts, "evaluate_test_sets", lambda *_: {"metric": left.pop(0), "mAP": 1.0}
    )
    return left


def run_on(root: Path, output: Path, *flags: str, **changes: Any) -> None:
    """As `tiny.run`, for evaluations that write no results."""
    assert (
        tiny.main(["--config-file", tiny.CONFIG, *flags, *tiny.options(root, output, **changes)])
        == 0
    )


@pytest.mark.parametrize(("epoch", "first", "then"), [(0, [], [30.0, 20.0]), (1, [20.0], [30.0])])
def test_an_evaluation_that_was_interrupted_is_made_up_for(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    epoch: int, first: list[float], then: list[float],
) -> None:  # fmt: skip
    """The best epoch would not become model_best, after the last one as after any other."""
    metrics(monkeypatch, *first)
    run_interrupted(root, tmp_path, epoch)
    left = metrics(monkeypatch, *then)
    run_on(root, tmp_path, "--resume")
    assert left == []
    best = torch.load(tmp_path / "model_best.pth", weights_only=True)
    assert (best["epoch"], best["best_metric"]) == (epoch, 30.0)
    name = "model_final.pth" if epoch else "model_0000.pth"
    saved = torch.load(tmp_path / name, weights_only=True)
    assert all(torch.equal(value, best["model"][key]) for key, value in saved["model"].items())
    assert best["optimizer"]["state"] and best["config"] == saved["config"]

    # What has been evaluated is looked at again, but is not chosen by that.
    metrics(monkeypatch, 99.0)
    run_on(root, tmp_path, "--resume")
    assert read_evaluated(str(tmp_path)) == Evaluated(1, 30.0)
    again = torch.load(tmp_path / "model_best.pth", weights_only=True)
    assert (again["epoch"], again["best_metric"]) == (epoch, 30.0)


def test_files_of_an_earlier_training_are_not_gone_on_from(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics(monkeypatch, 90.0)
    run_on(root, tmp_path, SOLVER__MAX_EPOCH=1)
    before = (tmp_path / "model_best.pth").read_bytes()

    def cut(*_: Any) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(Save, "after_epoch", cut)
        with pytest.raises(Interrupted):
            run_on(root, tmp_path, SEED=7)
    assert (tmp_path / "model_best.pth").read_bytes() == before
    with pytest.raises(SystemExit):
        run_on(root, tmp_path, "--resume", SEED=7)

    # Saved once, and not yet evaluated: the best metric is still none.
    run_interrupted(root, tmp_path, 0, SEED=7)
    left = metrics(monkeypatch, 10.0, 5.0)
    run_on(root, tmp_path, "--resume", SEED=7)
    assert left == []
    best = torch.load(tmp_path / "model_best.pth", weights_only=True)
    assert (best["epoch"], best["best_metric"]) == (0, 10.0)


def test_a_finished_run_is_not_evaluated_under_another_config_in_silence(
    root: Path, trained: Path, tmp_path: Path
) -> None:
    for name in ("model_final.pth", "last_checkpoint"):
        shutil.copy(trained / name, tmp_path)
    other = {"SOLVER__BASE_LR": 0.9, "MODEL__LOSSES__TRI__MARGIN": 0.9}
    run = tiny.run(root, tmp_path, "--resume", SOLVER__MAX_EPOCH=4, **other)["run"]
    assert run["config"]["SOLVER"]["BASE_LR"] == 0.9
    assert run["trained_with"] == {"SOLVER.BASE_LR": 0.002, "MODEL.LOSSES.TRI.MARGIN": 0.3}
    log = (tmp_path / "log.txt").read_text()
    assert "Evaluating with other values than the checkpoint was trained with: " in log
    assert "SOLVER.BASE_LR: 0.002 -> 0.9" in log


def test_another_seed_gives_another_model(root: Path, trained: Path, tmp_path: Path) -> None:
    tiny.run(root, tmp_path, SOLVER__MAX_EPOCH=1, SEED=1)
    assert tiny.losses(tmp_path)[0] != tiny.losses(trained)[0]


# After so few iterations batch norm's running statistics are so far off that all global features
# are parallel but for 1e-5, which rounding ranks.
PRECISE = {
    "TEST__PRECISE_BN__ENABLED": True,
    "TEST__PRECISE_BN__DATASET": "SyntheticPartial",
    "TEST__PRECISE_BN__NUM_ITER": 4,
}


def test_two_processes_give_the_numbers_of_one(root: Path, tmp_path: Path) -> None:
    """One image in a batch on either side: rounding depends on the batch."""
    tiny.run(root, tmp_path / "trained", SOLVER__MAX_EPOCH=1, **PRECISE)
    weights = tmp_path / "trained" / "model_final.pth"
    one = tiny.run(
        root, tmp_path / "one", "--eval-only", MODEL__WEIGHTS=weights, TEST__IMS_PER_BATCH=1
    )
    flags = ("--eval-only", "--num-gpus", "2")
    two = tiny.run(root, tmp_path / "two", *flags, MODEL__WEIGHTS=weights, TEST__IMS_PER_BATCH=2)
    assert two["run"]["processes"] == 2
    for name in ("global", "reconstruction", "fused"):
        wanted = one["SyntheticPartial"][name]
        assert two["SyntheticPartial"][name] == pytest.approx(wanted, abs=1e-3)


@pytest.mark.usefixtures("as_trained")
def test_two_processes_train(root: Path, tmp_path: Path) -> None:
    """Batch-norm statistics differ between processes; evaluated are those that are saved."""
    keys = {"SOLVER__MAX_EPOCH": 1, "TEST__IMS_PER_BATCH": 2, **PRECISE}
    data = tiny.run(root, tmp_path, "--num-gpus", "2", **keys)
    assert data["run"]["processes"] == 2
    weights = tmp_path / "model_final.pth"
    again = tiny.run(
        root, tmp_path / "eval", "--eval-only", MODEL__WEIGHTS=weights, TEST__IMS_PER_BATCH=1
    )
    for name in ("global", "reconstruction", "fused"):
        saved = data["SyntheticPartial"][name]
        assert again["SyntheticPartial"][name] == pytest.approx(saved, abs=1e-3)


def test_evaluation_after_the_last_epoch_alone(root: Path, tmp_path: Path) -> None:
    tiny.run(root, tmp_path, TEST__EVAL_PERIOD=0, SOLVER__CHECKPOINT_PERIOD=0)
    lines = (tmp_path / "metrics.json").read_text().splitlines()
    assert sum("metric" in json.loads(line) for line in lines) == 1
    assert (tmp_path / "model_best.pth").is_file()
    assert not (tmp_path / "model_0000.pth").exists()


def test_flip_test_and_precise_bn_run(root: Path, tmp_path: Path) -> None:
    data = tiny.run(
        root,
        tmp_path,
        SOLVER__MAX_EPOCH=1,
        TEST__FLIP__ENABLED=True,
        TEST__PRECISE_BN__ENABLED=True,
        TEST__PRECISE_BN__DATASET="SyntheticPartial",
        TEST__PRECISE_BN__NUM_ITER=2,
    )
    assert data["SyntheticPartial"]["fused"]["mAP"] > 0


def test_schedule_shorter_than_the_warm_up(root: Path, tmp_path: Path) -> None:
    """FastReID divides by zero: a cosine of no epochs."""
    tiny.run(root, tmp_path, SOLVER__MAX_EPOCH=1, SOLVER__WARMUP_ITERS=9)


def test_trainer_is_fastreids() -> None:
    from fastreid.engine.defaults import DefaultTrainer

    assert issubclass(PartialTrainer, DefaultTrainer)


def test_a_triplet_loss_that_begins_later(root: Path, tmp_path: Path) -> None:
    """And goes on from there after an interruption; one that never begins is said."""
    keys = {"MODEL__LOSSES__NAME": "('CrossEntropyLoss','TripletLoss')", "LOG_PERIOD": 1}

    def logged() -> list[bool]:
        lines = (tmp_path / "metrics.json").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return ["loss_triplet" in each for each in records if "loss_cls" in each]

    late = "the loss never begins"
    tiny.run(root, tmp_path, SOLVER__MAX_EPOCH=1, MODEL__LOSSES__TRI__START_ITER=99, **keys)
    assert (tmp_path / "log.txt").read_text().count(late) == 1
    iterations = len(logged())
    assert logged() == [False] * iterations
    keys["MODEL__LOSSES__TRI__START_ITER"] = iterations + 1
    tiny.run(root, tmp_path, "--resume", SOLVER__MAX_EPOCH=2, **keys)
    assert logged() == [False] * (iterations + 1) + [True] * (iterations - 1)
    assert (tmp_path / "log.txt").read_text().count(late) == 1
