"""A diverged training ends with one sentence, and nothing of it is saved or evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from partialreid.backbones.pretrained_files import check_pretrain_path
from partialreid.commands.dispatch import main
from partialreid.commands.train import build_parser
from partialreid.engine.checkpoint import read_checkpoint
from partialreid.engine.configuration import setup_config
from partialreid.engine.divergence import check_losses
from partialreid.engine.trainer import PartialTrainer
from partialreid.runtime.finite import not_finite
from tests import tiny
from tests.standin.gpu import StandInGpu


def trainer(root: Path, **changes: Any) -> PartialTrainer:
    keys = tiny.options(root, root / "run", **changes)
    cfg = setup_config(build_parser().parse_args(["--config-file", tiny.CONFIG, *keys]))
    return PartialTrainer(cfg)


def test_losses_are_named_with_their_values() -> None:
    good = {"loss_cls": torch.tensor(1.25), "loss_triplet": torch.tensor(3.0)}
    check_losses(good, 4)
    bad = {**good, "loss_triplet": torch.tensor(float("inf"))}
    said = "at iteration 4 loss_cls is 1.25, loss_triplet is inf. Lower SOLVER.BASE_LR, lengthen"
    with pytest.raises(FloatingPointError, match=said):
        check_losses(bad, 4)


def test_tensors_that_are_no_numbers_are_found_in_one_wait(standin: StandInGpu) -> None:
    state = nn.BatchNorm1d(3).to(standin.device).state_dict()
    assert not_finite(state) == []
    state["running_var"][1] = torch.inf
    state["bias"][0] = torch.nan
    with standin.count() as seen:
        assert not_finite(state) == ["bias", "running_var"]
    assert seen.synchronisations == 1, seen
    assert not_finite({"steps": torch.tensor(3)}) == []


def test_a_training_with_too_high_a_rate_ends_with_a_sentence(tmp_path: Path) -> None:
    said = r"^the training diverged: at iteration \d+ loss_cls is .* Lower SOLVER\.BASE_LR"
    with pytest.raises(FloatingPointError, match=said):
        trainer(tmp_path, SOLVER__BASE_LR=1e30, SOLVER__OPT="SGD").train()
    assert not list((tmp_path / "run").glob("*.pth"))


def test_weights_that_are_no_numbers_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step of an epoch leaves them; its losses were finite."""
    training = trainer(tmp_path)
    last = training.iters_per_epoch - 1
    step = training.optimizer.step

    def diverge(*args: Any, **kwargs: Any) -> None:
        step(*args, **kwargs)
        if training.iter == last:
            training.model.heads.weight.data[0, 0] = torch.nan

    monkeypatch.setattr(training.optimizer, "step", diverge)
    said = f"after epoch 0 and {last + 1} iterations .* 1 of [0-9]+ tensors.* heads.weight"
    with pytest.raises(FloatingPointError, match=said):
        training.train()
    assert not list((tmp_path / "run").glob("*.pth"))


def test_a_checkpoint_of_a_diverged_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model_0003.pth"
    state = {"heads.weight": torch.ones(2, 3), "backbone.bias": torch.tensor([0.0, torch.nan])}
    torch.save({"model": state, "epoch": 3, "iteration": 404}, path)
    said = r'model_0003.pth" \(epoch 3, iteration 404\) holds NaN .* 1 of 2 tensors.* backbone.bias'
    with pytest.raises(ValueError, match=said):
        read_checkpoint(str(path))
    torch.save({"model": state}, path)
    with pytest.raises(ValueError, match=r'model_0003\.pth" holds NaN'):
        read_checkpoint(str(path))


def test_finite_weights_of_which_the_network_makes_nan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The square root of a negative variance. The message says what the checkpoint says."""
    state = trainer(tmp_path).model.state_dict()
    variance = next(value for name, value in state.items() if name.endswith("running_var"))
    variance[0] = -1.0
    weights = tmp_path / "model_0003.pth"
    torch.save({"model": state, "epoch": 3, "iteration": 404}, weights)
    config = ["--config-file", tiny.CONFIG]
    keys = tiny.options(tmp_path, tmp_path / "run")
    compared = ["--system", "own", tiny.CONFIG, str(weights), "--output", str(tmp_path / "table")]
    capsys.readouterr()
    for argv in (
        ["evaluate", *config, *keys, "MODEL.WEIGHTS", str(weights)],
        ["compare", *compared, "--tests", "SyntheticPartial", "--opts", *keys],
    ):
        with pytest.raises(SystemExit):
            main(argv)
        said = capsys.readouterr().err.rpartition("error: ")[2]
        assert said.startswith(f'MODEL.WEIGHTS "{weights}" (epoch 3, iteration 404) cannot be')


def test_pretrained_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"conv1.weight": torch.tensor([torch.inf])}, path)
    with pytest.raises(ValueError, match=r'weights\.pth" holds NaN .* conv1\.weight'):
        check_pretrain_path(str(path))
