"""What a training remembers of its evaluations, and what it does not take from an earlier one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from partialreid.engine.checkpoint import SafeCheckpointer, read_checkpoint
from partialreid.engine.evaluated_epochs import (
    FILE,
    Evaluated,
    begin_anew,
    keep_checkpoint,
    read_evaluated,
    write_evaluated,
)


def saved(folder: Path, name: str, **extra: object) -> str:
    """A checkpoint in a folder; where it lies."""
    SafeCheckpointer(torch.nn.Linear(2, 2), str(folder), always={"config": "SEED: 3\n"}).save(
        name, tag=name != "model_best", **extra
    )
    return str(folder / f"{name}.pth")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_evaluated(str(tmp_path)) == Evaluated(-1, -1.0)
    write_evaluated(str(tmp_path), Evaluated(3, 31.5))
    assert read_evaluated(str(tmp_path)) == Evaluated(3, 31.5)


def test_a_run_without_the_file_has_its_best_metric_from_model_best(tmp_path: Path) -> None:
    saved(tmp_path, "model_best", epoch=4, best_metric=30.0)
    assert read_evaluated(str(tmp_path)) == Evaluated(-1, 30.0)


@pytest.mark.parametrize("text", ["{", "[]", '{"epochs": 1}'])
def test_another_file_of_that_name_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=rf'"{tmp_path / FILE}" is not what a training'):
        read_evaluated(str(tmp_path))


def test_a_new_training_takes_nothing_from_an_earlier_one_and_deletes_no_weights(
    tmp_path: Path,
) -> None:
    begin_anew(str(tmp_path))
    saved(tmp_path, "model_0001", epoch=1)
    saved(tmp_path, "model_best", epoch=1, best_metric=90.0)
    write_evaluated(str(tmp_path), Evaluated(1, 90.0))
    begin_anew(str(tmp_path))
    assert not (tmp_path / "last_checkpoint").exists()
    assert read_evaluated(str(tmp_path)) == Evaluated(-1, -1.0)
    assert sorted(path.stem for path in tmp_path.glob("*.pth")) == ["model_0001", "model_best"]


def test_a_checkpoint_becomes_the_best_one_if_it_is(tmp_path: Path) -> None:
    path = saved(tmp_path, "model_0005", epoch=5)
    assert keep_checkpoint(path, 20.0, Evaluated(4, 30.0)) == Evaluated(5, 30.0)
    assert not (tmp_path / "model_best.pth").exists()
    assert keep_checkpoint(path, 31.0, Evaluated(4, 30.0)) == Evaluated(5, 31.0)
    assert read_evaluated(str(tmp_path)) == Evaluated(5, 31.0)
    best = read_checkpoint(str(tmp_path / "model_best.pth"))
    assert (best["epoch"], best["best_metric"], best["config"]) == (5, 31.0, "SEED: 3\n")
    assert torch.equal(best["model"]["weight"], read_checkpoint(path)["model"]["weight"])
    assert (tmp_path / "last_checkpoint").read_text() == "model_0005.pth"


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_evaluated("", Evaluated(1, 2.0))
    assert list(tmp_path.iterdir()) == []
