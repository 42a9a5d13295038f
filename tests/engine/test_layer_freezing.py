"""Frozen layers: which, how long, and that a resumed run does not freeze them again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from partialreid.engine.checkpoint import read_checkpoint
from partialreid.engine.checks import check_config
from partialreid.engine.layer_freezing import FreezeLayers, check_layers, check_patterns
from tests import tiny
from tests.whole_config import whole_config


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.heads = nn.Linear(4, 2)


def step(model: Small, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model.heads(model.backbone(torch.rand(4, 3))).square().sum().backward()
    optimizer.step()


def changed(model: Small, run: Any) -> set[str]:
    """The names of the state that `run` changes."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run()
    return {name for name, v in model.state_dict().items() if not torch.equal(v, before[name])}


def test_layers_rest_and_then_are_trained() -> None:
    model = Small()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    hook = FreezeLayers(model, ["backbone"], 2)
    hook.trainer = trainer = SimpleNamespace(iter=0, optimizer=optimizer)
    hook.before_train()

    def iteration(number: int) -> set[str]:
        trainer.iter = number
        model.train()  # as after an evaluation
        hook.before_step()
        return changed(model, lambda: step(model, optimizer))

    assert iteration(0) == iteration(1) == {"heads.weight", "heads.bias"}
    assert {"backbone.0.weight", "backbone.1.running_mean"} < iteration(2)
    hook.after_train()
    model.train()
    assert "backbone.0.weight" in changed(model, lambda: step(model, optimizer))


def test_a_resumed_run_counts_from_its_first_iteration() -> None:
    model = Small()
    optimizer = torch.optim.Adam(model.parameters())
    hook = FreezeLayers(model, ["backbone.1"], 5)
    hook.trainer = SimpleNamespace(iter=4, optimizer=optimizer)
    hook.before_train()
    hook.before_step()
    assert model.backbone[0].training and not model.backbone[1].training
    assert "backbone.1.weight" not in changed(model, lambda: step(model, optimizer))
    hook.trainer.iter = 5
    hook.before_step()
    assert model.backbone[1].training
    assert "backbone.1.weight" in changed(model, lambda: step(model, optimizer))


def test_a_misspelt_layer_is_refused_with_those_that_there_are() -> None:
    check_layers(Small(), ["backbone", "heads", "backbone.1"])
    with pytest.raises(ValueError) as caught:
        check_layers(Small(), ["heads", "bakbone"])
    assert str(caught.value) == (
        "MODEL.FREEZE_LAYERS holds 'bakbone', which no layer is called. There are backbone, heads, "
        "and in them backbone.0, backbone.1, heads.bias, heads.weight."
    )


def test_what_is_no_pattern_is_refused_before_there_is_a_network(make_config) -> None:
    check_patterns(["backbone", r"heads\.bnneck", "backbone.(conv1|bn1)"])
    options = ("MODEL.FREEZE_LAYERS", ["heads", "backbone("], "SOLVER.FREEZE_ITERS", 3)
    with pytest.raises(ValueError) as caught:
        check_config(whole_config(make_config, *options), 1, eval_only=False)
    assert str(caught.value).startswith(
        "MODEL.FREEZE_LAYERS holds 'backbone(', which is no regular expression (missing ), "
    )


def test_command_line_refuses_a_misspelt_layer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from partialreid.commands.train import main

    keys = {"MODEL__FREEZE_LAYERS": "['bakbone']", "SOLVER__FREEZE_ITERS": 3}
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", tiny.CONFIG, *tiny.options(tmp_path, tmp_path / "out", **keys)])
    assert caught.value.code == 2
    assert "MODEL.FREEZE_LAYERS holds 'bakbone'" in capsys.readouterr().err


@pytest.mark.slow
def test_resumed_training_ends_where_the_straight_one_does(tmp_path: Path) -> None:
    """Twelve iterations of 18 are frozen, nine of them in the first epoch."""
    keys = {"MODEL__FREEZE_LAYERS": "['backbone']", "SOLVER__FREEZE_ITERS": 12}
    keys |= {"TEST__EVAL_PERIOD": 1, "SOLVER__DELAY_EPOCHS": 0}
    root = tmp_path / "data"
    tiny.run(root, tmp_path / "straight", **keys)
    tiny.run(root, tmp_path / "resumed", **keys, SOLVER__MAX_EPOCH=1)
    first = read_checkpoint(str(tmp_path / "resumed" / "model_final.pth"))["model"]
    tiny.run(root, tmp_path / "resumed", "--resume", **keys)
    straight, resumed = (
        read_checkpoint(str(tmp_path / name / "model_final.pth"))["model"]
        for name in ("straight", "resumed")
    )
    assert all(torch.equal(value, resumed[name]) for name, value in straight.items())
    moved = {name.split(".")[0] for name in first if not torch.equal(first[name], resumed[name])}
    assert moved == {"backbone", "heads"}
