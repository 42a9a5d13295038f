"""When a training evaluates, saves and keeps its best model, on a trainer of a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.engine.train_loop import HookBase, TrainerBase
from fastreid.utils.checkpoint import PeriodicCheckpointer
from fastreid.utils.events import get_event_storage

from partialreid.engine.checkpoint import SafeCheckpointer, read_checkpoint
from partialreid.engine.evaluated_epochs import Evaluated, read_evaluated
from partialreid.engine.hooks import Evaluate, KeepBest, Save, StartEpoch


class Loader:
    def __init__(self) -> None:
        self.epochs: list[int] = []

    def start_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)


class Trainer(TrainerBase):
    """Does nothing but run its hooks."""

    def __init__(self, hooks: list[Any], start: int = 0) -> None:
        super().__init__()
        self.register_hooks(hooks)
        self.data_loader = Loader()
        self.start = start

    def run(self, epochs: int) -> Trainer:
        self.max_epoch, self.max_iter = epochs, 2 * epochs
        self.train(self.start, epochs, 2)
        return self

    def run_step(self) -> None:
        get_event_storage().put_scalar("total_loss", 1.0)


def checkpointer(folder: Path) -> SafeCheckpointer:
    return SafeCheckpointer(torch.nn.Linear(2, 2), str(folder))


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.pth"))


def test_every_epoch_starts_its_own_stream() -> None:
    assert Trainer([StartEpoch()], start=2).run(5).data_loader.epochs == [2, 3, 4]


@pytest.mark.parametrize(
    ("period", "epochs"), [(0, [5]), (-1, [5]), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])]
)
def test_evaluation_comes_periodically_and_at_the_end(period: int, epochs: list[int]) -> None:
    """FastReID divides by the period, which 0 does not survive."""
    evaluated: list[int] = []
    logged: list[float] = []

    class Read(Evaluate):
        def after_epoch(self) -> None:
            super().after_epoch()
            if "Rank-1" in self.trainer.storage.histories():
                logged.append(self.trainer.storage.history("Rank-1").latest())

    def evaluate() -> dict[str, float]:
        evaluated.append(trainer.epoch + 1)
        return {"Rank-1": 10.0 * len(evaluated)}

    trainer = Trainer([Read(period, evaluate)])
    trainer.run(5)
    assert evaluated == epochs
    assert logged[-1] == 10.0 * len(epochs)


def test_the_metric_is_that_of_this_epochs_first_test_set(tmp_path: Path) -> None:
    answers = [{"A": {"metric": 3.0}, "B": {"metric": 4.0}}, {"metric": 5.0}, {}]
    evaluation = Evaluate(2, lambda: answers.pop(0))
    seen: list[float | None] = []

    class Look(HookBase):
        def after_epoch(self) -> None:
            seen.append(evaluation.metric)

    Trainer([evaluation, Look()]).run(6)
    assert seen == [None, 3.0, None, 5.0, None, None]


@pytest.mark.parametrize(
    ("period", "files"),
    [(0, ["model_final"]), (2, ["model_0001", "model_0003", "model_final"]),
     (1, ["model_0000", "model_0001", "model_0002", "model_0003", "model_final"])],
)  # fmt: skip
def test_checkpoints(tmp_path: Path, period: int, files: list[str]) -> None:
    Trainer([Save(checkpointer(tmp_path), period)]).run(5)
    assert names(tmp_path) == files
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"
    assert read_checkpoint(str(tmp_path / "model_final.pth"))["epoch"] == 4


def test_stock_checkpointer_cannot_keep_the_best(tmp_path: Path) -> None:
    """The reason for the cure: it asks for a key that the evaluator never gives."""
    stock = PeriodicCheckpointer(checkpointer(tmp_path), 1, 5)
    with pytest.raises(KeyError, match="metric"):
        stock.step(0, **{"Rank-1": 50.0, "mAP": 40.0})


def keep_best(folder: Path, metrics: list[float | None], best: float = -1.0) -> list[int]:
    """Train an epoch per metric; the epochs whose models were kept."""
    kept: list[int] = []

    class Record(SafeCheckpointer):
        def save(self, name: str, *, tag: bool = True, **extra: Any) -> None:
            super().save(name, tag=tag, **extra)
            kept.append(extra["epoch"])

    values = iter(metrics)
    writer = Record(torch.nn.Linear(2, 2), str(folder))
    Trainer([KeepBest(writer, lambda: next(values), best)]).run(len(metrics))
    return kept


def test_best_model_is_kept(tmp_path: Path) -> None:
    assert keep_best(tmp_path, [None, 30.0, None, 20.0, 30.0, 31.0]) == [1, 5]
    data = read_checkpoint(str(tmp_path / "model_best.pth"))
    assert (data["epoch"], data["best_metric"]) == (5, 31.0)
    assert names(tmp_path) == ["model_best"]
    assert not (tmp_path / "last_checkpoint").exists()
    assert read_evaluated(str(tmp_path)) == Evaluated(5, 31.0)


def test_an_evaluation_that_is_not_the_best_is_noted_too(tmp_path: Path) -> None:
    keep_best(tmp_path, [30.0, None, 20.0, None])
    assert read_evaluated(str(tmp_path)) == Evaluated(2, 30.0)


def test_best_of_an_earlier_run_counts(tmp_path: Path) -> None:
    assert keep_best(tmp_path, [30.0, 40.0], best=40.0) == []
    assert keep_best(tmp_path, [30.0, 40.5], best=40.0) == [1]


def test_metric_of_zero_is_a_metric(tmp_path: Path) -> None:
    assert keep_best(tmp_path, [0.0, 0.0]) == [0]
