"""Which errors are one sentence and which keep their trace, wherever they are raised."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import resource_sharer
from multiprocessing.connection import Client
from multiprocessing.resource_sharer import DupFd
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastreid.modeling.heads.embedding_head import EmbeddingHead
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from torch.utils.data import DataLoader

from partialreid.commands import train as command
from partialreid.commands.train import main
from partialreid.config import add_partialreid_config
from partialreid.engine.checkpoint import read_checkpoint
from partialreid.engine.layer_freezing import check_layers
from partialreid.images.reading import read_image
from partialreid.matching.pyramid import pyramid_columns
from partialreid.runtime import errors
from partialreid.runtime.errors import sentence, user_errors
from partialreid.runtime.files import write_text
from tests import tiny


def caught(function: Callable[[], Any]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def broken_image(folder: Path) -> str:
    path = folder / "broken.jpg"
    path.write_bytes(b"no image")
    return str(path)


def test_what_the_package_refuses_is_its_sentence(tmp_path: Path) -> None:
    error = caught(lambda: read_checkpoint("absent.pth"))
    assert sentence(error) == str(error)
    assert 'the checkpoint "absent.pth" is not there' in str(error)
    several_lines = caught(lambda: check_layers(torch.nn.Linear(1, 1), ["x"]))
    assert sentence(several_lines) == str(several_lines)
    error = caught(lambda: read_image(broken_image(tmp_path)))
    assert isinstance(error, OSError)
    assert sentence(error) == str(error)


def test_what_fastreid_refuses_is_its_sentence_without_quotes() -> None:
    error = caught(lambda: META_ARCH_REGISTRY.get("Typo"))
    assert isinstance(error, KeyError)
    assert sentence(error) == "No object named 'Typo' found in 'META_ARCH' registry!"


def test_a_raise_after_a_condition_is_on_purpose_too() -> None:
    """FastReID writes some on the line of their `else:`."""
    head = EmbeddingHead(
        feat_dim=4, embedding_dim=0, num_classes=2, neck_feat="foo", pool_type="GlobalAvgPool",
        cls_type="Linear", scale=1, margin=0, with_bnneck=False, norm_type="BN",
    )  # fmt: skip
    error = caught(lambda: head(torch.rand(2, 4, 1, 1), torch.tensor([0, 1])))
    assert isinstance(error, KeyError)
    assert sentence(error) == "foo is invalid for MODEL.HEADS.NECK_FEAT"


@pytest.mark.parametrize(
    ("line", "raises"),
    [
        ('raise ValueError("x")', True),
        ("if not x: raise ValueError(x)", True),
        ("else:      raise", True),
        ("except OSError as error: raise ValueError(error) from error", True),
        ("raised = known[name]", False),
        ("if kind: raised(kind)", False),
        ("raise_for_status(answer)", False),
        ('found = known["nothing to raise"]', False),
    ],
)
def test_lines_that_raise(line: str, raises: bool) -> None:
    assert bool(errors.RAISES.search(line)) == raises


def test_what_the_system_refuses_is_a_sentence(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert sentence(caught(lambda: absent.read_text())) == f"No such file or directory: '{absent}'"
    assert "cannot be written" in str(sentence(caught(lambda: write_text(absent / "x", ""))))


def chained() -> None:
    try:
        raise ValueError("first")
    except ValueError as error:
        raise TypeError("then") from error


@pytest.mark.parametrize(
    "function",
    [
        lambda: {}["key"],
        lambda: int("x"),
        lambda: None.x,  # type: ignore[attr-defined]
        lambda: torch.zeros(2) @ torch.zeros(3),
        lambda: np.zeros(2) + np.zeros(3),
        lambda: pyramid_columns(torch.zeros(1, 2)),  # ours, but nothing that it foresaw
        lambda: add_partialreid_config(None),
        chained,
    ],
)
def test_errors_of_the_program_have_no_sentence(function: Callable[[], Any]) -> None:
    error = caught(function)
    assert sentence(error) is None
    with pytest.raises(type(error)), user_errors():
        raise error


def test_an_error_that_was_not_raised_has_no_sentence() -> None:
    assert sentence(ValueError("x")) is None


class Fails(torch.utils.data.Dataset):
    """Runs something for its third item, in a loader worker."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return self.function() if index == 2 else index


def in_worker(function: Callable[[], Any]) -> str | None:
    return sentence(caught(lambda: list(DataLoader(Fails(function), num_workers=1))))


@pytest.mark.slow
def test_error_of_a_loader_worker(tmp_path: Path) -> None:
    foreseen = [
        lambda: read_checkpoint("absent.pth"),
        lambda: check_layers(torch.nn.Linear(1, 1), ["x"]),
        lambda: read_image(broken_image(tmp_path)),
    ]
    for function in foreseen:
        assert in_worker(function) == str(caught(function))
    assert in_worker(lambda: META_ARCH_REGISTRY.get("Typo")) == (
        "No object named 'Typo' found in 'META_ARCH' registry!"
    )
    assert in_worker(lambda: [][2]) is None
    assert in_worker(lambda: int("x")) is None


@pytest.mark.slow
def test_loader_worker_that_is_killed() -> None:
    said = in_worker(lambda: os.kill(os.getpid(), 9))
    assert said is not None
    assert said.startswith("a process that loads images has ended, mostly for lack of memory")
    assert "DATALOADER.NUM_WORKERS" in said


def test_worker_that_dies_takes_its_tensors_with_it() -> None:
    """Its tensors lie in memory that a thread of it hands out, over a connection that ends."""
    handed_out = DupFd(1)
    resource_sharer.stop()  # as if the worker that announced it had died
    error = caught(handed_out.detach)
    said = sentence(error)
    assert said is not None and said.startswith("a process that loads images has ended"), error
    # The same error elsewhere says nothing of workers.
    other = caught(lambda: Client("/absent/socket", family="AF_UNIX"))
    assert "loads images" not in str(sentence(other))


def test_word_of_a_dead_worker_may_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's signal handler raises wherever Python is, in the reading of the first error too."""
    real, calls = errors.traceback.format_exception, []

    def interrupted(error: BaseException) -> list[str]:
        calls.append(error)
        if len(calls) == 1:
            raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
        return real(error)

    monkeypatch.setattr(errors.traceback, "format_exception", interrupted)
    said = sentence(RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"))
    assert said is not None and said.startswith("a process that loads images has ended")
    assert "pid 7" in said and len(calls) == 2


@pytest.mark.parametrize(
    ("function", "detail"),
    [
        (lambda: torch.empty(2**58, dtype=torch.uint8), "allocate"),
        (lambda: np.empty(2**58, dtype=np.uint8), "Unable to allocate"),
    ],
)
def test_no_memory(function: Callable[[], Any], detail: str) -> None:
    said = sentence(caught(function))
    assert said is not None
    assert said.startswith("there is not enough memory: lower SOLVER.IMS_PER_BATCH")
    assert detail in said


def test_no_memory_of_a_gpu() -> None:
    def fails() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nMore.")

    said = sentence(caught(fails))
    assert said is not None
    assert said.endswith("(CUDA out of memory. Tried to allocate 20.00 GiB).")


@pytest.mark.parametrize(
    ("goes_on", "said"),
    [("", "interrupted\n"), ("--resume goes on", "interrupted; --resume goes on\n")],
)
def test_ctrl_c(goes_on: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, user_errors(goes_on):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == said


def pictures(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.suffix in (".jpg", ".png")]


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A data root whose training pictures are all broken, which no check looks at."""
    keys = {"SOLVER__MAX_EPOCH": 1, "TEST__EVAL_PERIOD": 0}
    tiny.run(tmp_path / "data", tmp_path / "first", **keys)
    training = [path for path in pictures(tmp_path / "data") if "train" in path.parent.name]
    assert training
    for path in training:
        path.write_bytes(b"no image")
    return tmp_path / "data"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_broken_image_met_in_training(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int
) -> None:
    output = tmp_path / "out"
    keys = tiny.options(drawn, output, DATALOADER__NUM_WORKERS=workers)
    with pytest.raises(SystemExit) as ended:
        main(["--config-file", tiny.CONFIG, *keys])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    said = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert said[0].startswith('error: cannot read the image "')
    assert str(drawn) in said[0]
    assert "Traceback" not in printed.err + printed.out
    # What went wrong where is for those who look into the log.
    assert "Traceback" in (output / "log.txt").read_text()
    assert not list(output.glob("*.pth"))


@pytest.mark.slow
def test_broken_image_met_by_two_processes(drawn: Path, tmp_path: Path) -> None:
    script = "projects/PartialReID/train_net.py"
    keys = tiny.options(drawn, tmp_path / "out", DATALOADER__NUM_WORKERS=1)
    argv = [sys.executable, script, "--config-file", tiny.CONFIG, "--num-gpus", "2", *keys]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 1
    assert "error: cannot read the image" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.slow
def test_error_of_the_program_in_training_keeps_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise AttributeError("a fault of the program")

    monkeypatch.setattr(command.PartialTrainer, "run_step", fails)
    with pytest.raises(AttributeError, match="a fault of the program"):
        main(["--config-file", tiny.CONFIG, *tiny.options(tmp_path / "data", tmp_path / "out")])
    assert "a fault of the program" in (tmp_path / "out" / "log.txt").read_text()


@pytest.mark.slow
def test_full_disk_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(SystemExit):
        main(["--config-file", tiny.CONFIG, *tiny.options(tmp_path / "data", tmp_path / "out")])
    said = f'error: "{tmp_path}/out/model_0000.pth" cannot be written (No space left on device)'
    assert said in capsys.readouterr().err
    assert not [path for path in (tmp_path / "out").iterdir() if "model" in path.name]
