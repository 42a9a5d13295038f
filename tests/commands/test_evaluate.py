"""`partialreid evaluate` is `train_net.py --eval-only`, without what only a training takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from partialreid.commands import evaluate, job, train


def test_it_starts_what_eval_only_starts(options, started: list[Any], tmp_path: Path) -> None:
    torch.save({"model": {"heads.weight": torch.zeros(5, 4)}}, tmp_path / "model.pth")
    keys = options("DATASETS.NAMES", "()", "MODEL.WEIGHTS", tmp_path / "model.pth", "SEED", 3)
    assert evaluate.main(["--num-gpus", "2", "--allow-partial", *keys]) == 0
    assert train.main(["--eval-only", "--num-gpus", "2", "--allow-partial", *keys]) == 0
    (*ours, ours_of_processes), (*theirs, theirs_of_processes) = started
    assert ours == theirs == [job.run, "cpu", 2, 1, 0, None]
    assert ours_of_processes == theirs_of_processes
    assert ours_of_processes[0] is evaluate.evaluate


def test_a_checkpoint_is_needed(
    options, started: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        evaluate.main(options())
    assert caught.value.code == 2
    assert "error: a checkpoint is needed: add MODEL.WEIGHTS" in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize("option", ["--resume", "--eval-only"])
def test_what_is_for_trainings_is_refused(
    option: str, started: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        evaluate.main([option, "--config-file", "demo.yml"])
    assert caught.value.code == 2
    assert option in capsys.readouterr().err
    assert started == []
