"""What the tests of the command line share: a job that could start, and what is said of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partialreid.commands import job

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")


@pytest.fixture(autouse=True)
def no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Records the launches instead of starting processes."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(job, "launch", lambda *arguments: calls.append(arguments))
    return calls


@pytest.fixture
def options(tmp_path: Path, make_market) -> Callable[..., list[str]]:
    """Keys and values of a job that could start, and those to add or change."""
    root = make_market(tmp_path / "data")

    def make(*changes: Any) -> list[str]:
        given = [
            *("DATASETS.NAMES", "('Market1501',)", "DATASETS.TESTS", "('Market1501',)"),
            *("DATASETS.ROOT", root, "OUTPUT_DIR", tmp_path / "out", "MODEL.DEVICE", "cpu"),
            *("MODEL.BACKBONE.PRETRAIN", False, "SOLVER.IMS_PER_BATCH", 8),
            *("MODEL.META_ARCHITECTURE", "PartialBaseline", "MODEL.HEADS.NAME", "DSRHead"),
        ]
        return [str(value) for value in (*given, *changes)]

    return make


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that runs a command, which must refuse its command line in one sentence."""

    def run(command: Callable[..., int], *argv: object) -> str:
        with pytest.raises(SystemExit) as caught:
            command([str(word) for word in argv])
        assert caught.value.code == 2
        (said,) = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
        return said

    return run
