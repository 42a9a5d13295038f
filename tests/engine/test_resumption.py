"""A resumed run has the learning rates of a straight run of its own config."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.engine.hooks import LRScheduler
from fastreid.solver import build_optimizer

from partialreid.engine.checkpoint import SafeCheckpointer, read_checkpoint
from partialreid.engine.resumption import (
    differing_keys,
    epochs_done,
    go_on,
    replay_schedule,
    restore_optimizer,
    skipped_steps,
)
from partialreid.engine.trainer import PartialTrainer
from tests import tiny

ITERATIONS = 5  # of an epoch, in the schedules that are computed without a training
COSINE = ("SOLVER.SCHED", "CosineAnnealingLR")
STEPS = ("SOLVER.SCHED", "MultiStepLR", "SOLVER.STEPS", [2, 4], "SOLVER.GAMMA", 0.3)


class Small(torch.nn.Module):
    """Parameters of every kind that FastReID gives rates of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        self.heads = torch.nn.Linear(4, 2)


class Run:
    """The schedule of a training, without the training."""

    def __init__(self, cfg: Any, epochs: int = 0) -> None:
        self.cfg, self.first = cfg, epochs
        torch.manual_seed(0)
        self.model = Small()
        self.optimizer, _ = build_optimizer(cfg, self.model, contiguous=False)
        self.scheduler = PartialTrainer.build_lr_scheduler(cfg, self.optimizer, ITERATIONS)
        self.warmup_iters, self.delay_epochs = cfg.SOLVER.WARMUP_ITERS, cfg.SOLVER.DELAY_EPOCHS
        self.grad_scaler = None
        self.storage = self
        self.iter = epochs * ITERATIONS

    def put_scalar(self, *_: Any, **__: Any) -> None: ...

    def rates(self) -> list[list[float]]:
        """The rates of all groups, at each iteration that is left."""
        hook = LRScheduler(self.optimizer, self.scheduler)
        hook.trainer = self
        found = []
        for epoch in range(self.first, self.cfg.SOLVER.MAX_EPOCH):
            self.epoch = epoch
            for _ in range(ITERATIONS):
                self.optimizer.zero_grad()
                self.model.heads(self.model.backbone(torch.rand(4, 3))).sum().backward()
                self.optimizer.step()
                found.append([group["lr"] for group in self.optimizer.param_groups])
                hook.after_step()
                self.iter += 1
            hook.after_epoch()
        return found


@pytest.fixture
def config(make_config: Callable[..., Any]) -> Callable[..., Any]:
    def make(*options: Any) -> Any:
        usual = ("SOLVER.MAX_EPOCH", 8, "SOLVER.BASE_LR", 0.001, "SOLVER.WARMUP_ITERS", 7)
        return make_config(*usual, "SOLVER.DELAY_EPOCHS", 3, *options)

    return make


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(
    "new",
    [
        COSINE,
        STEPS,
        (*COSINE, "SOLVER.MAX_EPOCH", 20, "SOLVER.BASE_LR", 0.0035),
        (*COSINE, "SOLVER.WARMUP_ITERS", 17, "SOLVER.WARMUP_FACTOR", 0.5),
        (*COSINE, "SOLVER.WARMUP_ITERS", 0, "SOLVER.DELAY_EPOCHS", 0),
        (*COSINE, "SOLVER.HEADS_LR_FACTOR", 10.0, "SOLVER.BIAS_LR_FACTOR", 2.0),
        (*STEPS, "SOLVER.WEIGHT_DECAY", 0.2, "SOLVER.BIAS_LR_FACTOR", 2.0),
    ],
)
def test_rates_are_those_of_a_straight_run(config, new: tuple[Any, ...], epochs: int) -> None:
    old = Run(config(*COSINE, "SOLVER.MAX_EPOCH", epochs))
    old.rates()
    cfg = config(*new)
    straight = Run(cfg)
    wanted = straight.rates()[epochs * ITERATIONS :]

    resumed = Run(cfg, epochs)
    restore_optimizer(resumed.optimizer, old.optimizer.state_dict())
    replay_schedule(resumed.optimizer, resumed.scheduler, epochs, ITERATIONS, cfg.SOLVER)
    assert resumed.rates() == wanted
    decays = [group["weight_decay"] for group in resumed.optimizer.param_groups]
    assert decays == [group["weight_decay"] for group in straight.optimizer.param_groups]


def test_moments_come_from_the_checkpoint(config) -> None:
    old = Run(config(*COSINE, "SOLVER.MAX_EPOCH", 2))
    old.rates()
    resumed = Run(config(*COSINE, "SOLVER.BASE_LR", 0.5))
    restore_optimizer(resumed.optimizer, old.optimizer.state_dict())
    parameter, same = next(resumed.model.parameters()), next(old.model.parameters())
    ours, theirs = resumed.optimizer.state[parameter], old.optimizer.state[same]
    assert int(ours["step"]) == 2 * ITERATIONS
    assert torch.equal(ours["exp_avg_sq"], theirs["exp_avg_sq"])


def test_mixed_precision_keeps_the_steps_that_its_warm_up_left_out(config) -> None:
    """FastReID leaves the warm-up where it is when gradients overflow."""
    cfg = config(*COSINE, "SOLVER.WARMUP_ITERS", 12)
    straight = Run(cfg)
    scales = iter([4.0, 2.0, 2.0, 1.0] + [1.0] * 200)  # two overflows

    class Scaler:
        def get_scale(self) -> float:
            return next(scales)

    straight.grad_scaler = Scaler()
    hook = LRScheduler(straight.optimizer, straight.scheduler)
    hook.trainer = straight
    rates = []
    for straight.epoch in range(4):
        for _ in range(ITERATIONS):
            hook.before_step()
            straight.optimizer.step()
            rates.append(straight.optimizer.param_groups[0]["lr"])
            hook.after_step()
            straight.iter += 1
        hook.after_epoch()
        if straight.epoch == 1:
            state = {key: s.state_dict() for key, s in straight.scheduler.items()}
            data = {**state, "grad_scaler": {}, "iteration": straight.iter}
            assert skipped_steps(data) == 2
            assert skipped_steps({**data, "iteration": 8}) == 0
    resumed = Run(cfg, 2)
    replay_schedule(resumed.optimizer, resumed.scheduler, 2, ITERATIONS, cfg.SOLVER, skipped=2)
    assert [group[0] for group in resumed.rates()][: 2 * ITERATIONS] == rates[2 * ITERATIONS :]


def test_what_a_cpu_saved_in_mixed_precision_has_no_scale(config) -> None:
    """Its bfloat16 needs none; a GPU that goes on from there begins with its own."""
    cfg = config()
    run = Run(cfg)
    state = torch.amp.GradScaler("cpu", enabled=False).state_dict()
    data = {"optimizer": run.optimizer.state_dict(), "grad_scaler": state}
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    go_on(data, cfg, run.optimizer, run.scheduler, scaler, 1, ITERATIONS)
    assert scaler.get_scale() == 8
    saved = torch.amp.GradScaler("cpu", init_scale=2.0).state_dict()
    go_on({**data, "grad_scaler": saved}, cfg, run.optimizer, run.scheduler, scaler, 1, ITERATIONS)
    assert scaler.get_scale() == 2


@pytest.mark.parametrize("data", [{}, {"iteration": 3}, {"grad_scaler": {}, "iteration": 3}])
def test_no_steps_were_left_out(data: dict[str, Any]) -> None:
    assert skipped_steps({"lr_sched": {}, **data}) == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"optimizer": {}}, "does not say after which epoch"),
        ({"epoch": 1}, "holds no optimizer, so training would not go on but start over"),
        ({"epoch": 1, "optimizer": {}, "config": "SOLVER: {OPT: SGD}"}, "set SOLVER.OPT SGD."),
        ({"epoch": 1, "optimizer": {}}, "does not hold the teacher of KD.EMA.ENABLED"),
    ],
)
def test_what_cannot_be_resumed(config, data: dict[str, Any], said: str) -> None:
    of_a_teacher = ("MODEL.META_ARCHITECTURE", "Distiller", "KD.EMA.ENABLED", True)
    with pytest.raises(ValueError) as caught:
        epochs_done(data, "x.pth", config(*of_a_teacher))
    assert said in str(caught.value)
    assert '"x.pth"' in str(caught.value)
    assert "give MODEL.WEIGHTS x.pth without --resume" in str(caught.value)


def test_what_can_be_resumed(config) -> None:
    same = {"epoch": 1, "optimizer": {}, "config": "SOLVER: {OPT: Adam}"}
    assert epochs_done(same, "x.pth", config()) == 2
    # Without a saved config, as of old, and with nothing left to train.
    assert epochs_done({"epoch": 1, "optimizer": {}}, "x.pth", config()) == 2
    assert epochs_done({"epoch": 7}, "x.pth", config()) == 8


def test_epochs_are_not_taken_back(config) -> None:
    """An evaluation of ten epochs under the name of eight was what came of it."""
    with pytest.raises(ValueError) as caught:
        epochs_done({"epoch": 9, "optimizer": {}}, "x.pth", config())
    assert str(caught.value) == (
        '--resume: the checkpoint "x.pth" has 10 epochs behind it, more than SOLVER.MAX_EPOCH 8, '
        "and none is taken back: raise that key, or evaluate the checkpoint by --eval-only "
        "MODEL.WEIGHTS x.pth."
    )


def test_an_optimizer_of_another_kind_or_for_other_layers(config) -> None:
    adam = Run(config(*COSINE)).optimizer
    sgd = Run(config(*COSINE, "SOLVER.OPT", "SGD")).optimizer
    with pytest.raises(ValueError, match=r"of another kind than SOLVER\.OPT"):
        restore_optimizer(sgd, adam.state_dict())
    one = torch.optim.Adam(Small().heads.parameters())
    with pytest.raises(ValueError, match=r"optimizer has 1 groups of parameters, .* has 6"):
        restore_optimizer(adam, one.state_dict())


def test_differing_keys_are_named(config) -> None:
    saved = config("OUTPUT_DIR", "a", "MODEL.WEIGHTS", "w", "SOLVER.STEPS", [1, 2])
    now = config("OUTPUT_DIR", "b", "SOLVER.MAX_EPOCH", 30, "SOLVER.STEPS", (1, 2))
    assert differing_keys({"config": saved.dump()}, now) == ["SOLVER.MAX_EPOCH: 8 -> 30"]
    assert differing_keys({"config": "SOLVER: {MAX_EPOCH: 3, GONE: 1}"}, now) == [
        "SOLVER.MAX_EPOCH: 3 -> 30"
    ]
    assert differing_keys({}, now) == []


def test_an_old_name_of_a_test_set_is_a_value_that_differs(config) -> None:
    """The name is refused today, but no set is looked up by a checkpoint's config."""
    now = config("DATASETS.TESTS", ("PartialREIDUncropped",))
    text = now.dump().replace("PartialREIDUncropped", "PartialREIDOccluded")
    saved = {"config": text, "epoch": 0, "optimizer": {}}
    assert differing_keys(saved, now) == [
        "DATASETS.TESTS: ['PartialREIDOccluded'] -> ['PartialREIDUncropped']"
    ]
    assert epochs_done(saved, "model.pth", now) == 1


@pytest.mark.slow
def test_the_teacher_of_a_distillation_comes_from_the_checkpoint(tmp_path: Path) -> None:
    """FastReID keeps it out of the checkpoint, and a resumed run would learn from another one."""
    keys = {"MODEL__META_ARCHITECTURE": "Distiller", "MODEL__HEADS__NAME": "EmbeddingHead"}
    keys |= {"TEST__DSR__ENABLED": False, "TEST__EVAL_PERIOD": 0, "KD__EMA__ENABLED": True}
    keys |= {"MODEL__HEADS__DSR__KERNELS": None, "SOLVER__DELAY_EPOCHS": 0}
    root = tmp_path / "data"
    tiny.run(root, tmp_path / "straight", **keys, KD__EMA__MOMENTUM=0.9)
    tiny.run(root, tmp_path / "resumed", **keys, KD__EMA__MOMENTUM=0.9, SOLVER__MAX_EPOCH=1)
    tiny.run(root, tmp_path / "resumed", "--resume", **keys, KD__EMA__MOMENTUM=0.9)
    straight, resumed = (
        read_checkpoint(str(tmp_path / name / "model_final.pth"))
        for name in ("straight", "resumed")
    )
    for part in ("model", "ema_teacher"):
        assert all(torch.equal(value, resumed[part][key]) for key, value in straight[part].items())


def rates_of(folder: Path) -> dict[int, float]:
    return {record["iteration"]: record["lr"] for record in tiny.records(folder, "lr")}


@pytest.mark.slow
def test_longer_run_with_another_rate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a user does: two epochs are too few, so he adds two, at a lower rate."""
    new = {"SOLVER__MAX_EPOCH": 4, "SOLVER__BASE_LR": 0.0005, "SOLVER__HEADS_LR_FACTOR": 4.0}
    root = tmp_path / "data"
    tiny.run(root, tmp_path / "straight", **new, TEST__EVAL_PERIOD=0)
    tiny.run(root, tmp_path / "resumed", TEST__EVAL_PERIOD=0)
    saved = read_checkpoint(str(tmp_path / "resumed" / "model_final.pth"))
    assert (saved["epoch"], saved["iteration"]) == (1, 18)
    said: list[str] = []
    monkeypatch.setattr(
        logging.getLogger("partialreid.engine.resumption"),
        "warning",
        lambda text: said.append(text),
    )
    tiny.run(root, tmp_path / "resumed", "--resume", **new, TEST__EVAL_PERIOD=0)
    assert "SOLVER.MAX_EPOCH: 2 -> 4" in said[0]
    assert "SOLVER.BASE_LR: 0.002 -> 0.0005" in said[0]
    straight, resumed = rates_of(tmp_path / "straight"), rates_of(tmp_path / "resumed")
    assert set(straight) == set(range(36))
    for iteration in range(18, 36):
        assert resumed[iteration] == straight[iteration]
    assert resumed[17] != straight[17]
    states = [
        read_checkpoint(str(tmp_path / name / "model_final.pth"))["optimizer"]["param_groups"]
        for name in ("straight", "resumed")
    ]
    assert [g["lr"] for g in states[0]] == [g["lr"] for g in states[1]]


def test_command_line_refuses_before_it_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from partialreid.commands.train import main

    output = tmp_path / "out"
    output.mkdir()
    SafeCheckpointer(torch.nn.Linear(2, 2), str(output)).save("model_0000", epoch=0)
    keys = tiny.options(tmp_path / "data", output)
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", tiny.CONFIG, "--resume", *keys])
    assert caught.value.code == 2
    assert "holds no optimizer" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--config-file", tiny.CONFIG, "--resume", "--allow-partial", *keys])
    assert "--allow-partial does not go with it" in capsys.readouterr().err
