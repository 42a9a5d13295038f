"""Processes: how many, where they meet, and that a failing one ends the job."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing import ProcessRaisedException

# Child processes import this module and no conftest: partialreid comes before fastreid here too.
import partialreid  # noqa: F401
from partialreid.commands.job import share_seed
from partialreid.engine import launching
from partialreid.engine.launching import comm, launch
from partialreid.engine.meeting import check_machines
from partialreid.runtime import errors
from partialreid.runtime.errors import sentence, user_errors
from tests.paths import ROOT

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")
SCRIPT = """
import os, sys
from tests.engine.test_launching import launch, report
# Two machines of one process each, as their processes see them.
os.environ.update(LOCAL_RANK="0", LOCAL_WORLD_SIZE="1")
assert launch(report, "cpu", 7, args=(sys.argv[1],)) == "returned"
"""
FAILING = """
from tests.engine.test_launching import launch, refuse_input, user_errors
with user_errors():
    launch(refuse_input, "cpu", 1)
"""
UNGUARDED = """
import partialreid
from partialreid.runtime.errors import user_errors
from partialreid.engine.launching import launch
def work(): pass
with user_errors():
    launch(work, "cpu", 2)
"""
PYTHONPATH = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(autouse=True)
def no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def children(time_limit) -> Iterator[Callable[[], set[Any]]]:
    """What gives the child processes of this test, which may not wait for them for ever.

    The workers of a loader that an earlier test has left are none of them.
    """
    before = set(multiprocessing.active_children())

    def since() -> set[Any]:
        return set(multiprocessing.active_children()) - before

    try:
        with time_limit(400):
            yield since
    finally:
        for child in since():
            child.kill()


class Config:
    """As much of a config as `share_seed` needs; each process has drawn its own seed."""

    def __init__(self, seed: int) -> None:
        self.SEED = seed

    def defrost(self) -> None: ...

    def freeze(self) -> None: ...


def report(folder: str) -> str:
    """Write what one process knows of the job."""
    rank = comm.get_rank()
    config = Config(seed=100 + rank)
    share_seed(config)
    known = {
        "world": comm.get_world_size(),
        "backend": torch.distributed.get_backend(),
        "local_rank": comm.get_local_rank(),
        "local_size": comm.get_local_size(),
        "gathered": comm.all_gather({"rank": rank}),
        "sum": float(comm.reduce_dict({"x": torch.tensor(float(rank))}, average=False)["x"]),
        "seed": config.SEED,
        "threads": torch.get_num_threads(),
    }
    Path(folder, f"{rank}.json").write_text(json.dumps(known))
    comm.synchronize()
    return "returned"


def fail_on_rank_1() -> None:
    if comm.get_rank() == 1:
        raise ValueError("rank 1 has failed")
    comm.synchronize()  # rank 1 never comes


def refuse_input() -> None:
    check_machines(1, 5, None)


def refuse_input_on_rank_1() -> None:
    if comm.get_rank() == 1:
        refuse_input()
    comm.synchronize()


def vanish_on_rank_1() -> None:
    if comm.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    comm.synchronize()


def read_reports(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
def test_two_processes(tmp_path: Path, children, capfd: pytest.CaptureFixture[str]) -> None:
    assert launch(report, "cpu", 2, args=(str(tmp_path),)) is None
    reports = read_reports(tmp_path)
    for known in reports:
        assert (known["world"], known["local_size"]) == (2, 2)
        assert known["backend"] == "gloo"
        assert known["gathered"] == [{"rank": 0}, {"rank": 1}]
        assert known["seed"] == 100
        assert known["threads"] <= max(1, (os.cpu_count() or 1) // 2)
    assert [known["local_rank"] for known in reports] == [0, 1]
    assert "TypedStorage is deprecated" not in capfd.readouterr().err
    assert reports[0]["sum"] == 1.0


@pytest.mark.slow
def test_failing_process_ends_the_job_with_its_error(children) -> None:
    with pytest.raises(ProcessRaisedException, match="rank 1 has failed") as caught:
        launch(fail_on_rank_1, "cpu", 2)
    assert "ValueError" in str(caught.value)
    assert sentence(caught.value) is None  # raised by a test, not by the package
    assert children() == set()


@pytest.mark.slow
@pytest.mark.parametrize("function", [refuse_input, refuse_input_on_rank_1])
def test_error_of_the_input_is_said_once(
    children, capfd: pytest.CaptureFixture[str], function: Callable[[], None]
) -> None:
    with pytest.raises(SystemExit) as caught, user_errors():
        launch(function, "cpu", 2)
    assert caught.value.code == 2
    errors = capfd.readouterr().err
    assert errors.count("error: --machine-rank 5 is not in 0..0.\n") == 1
    assert "Traceback" not in errors
    assert children() == set()


@pytest.mark.slow
def test_killed_process_ends_the_job_with_a_sentence(children, capfd) -> None:
    with pytest.raises(SystemExit), user_errors():
        launch(vanish_on_rank_1, "cpu", 2)
    said = "error: process 1 terminated with signal SIGKILL: it was ended from outside"
    assert capfd.readouterr().err.count(said) == 1
    assert children() == set()


@pytest.mark.parametrize(("rank", "waited"), [("0", []), ("1", [errors.SECONDS_FOR_MAIN])])
def test_other_processes_of_torchrun_let_the_main_one_speak(
    monkeypatch, capsys, rank: str, waited: list[float]
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(errors.time, "sleep", naps.append)
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(SystemExit) as caught, user_errors():
        check_machines(1, 5, None)
    assert caught.value.code == 2
    assert naps == waited
    # The others speak as well if the main one has not ended them: it may have no error.
    assert capsys.readouterr().err == "error: --machine-rank 5 is not in 0..0.\n"


def torchrun(script: str, folder: Path, *argv: str, **variables: str) -> Any:
    (folder / "script.py").write_text(script)
    module = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [sys.executable, "-m", *module, str(folder / "script.py"), *argv],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, **variables},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.slow
def test_error_of_the_input_under_torchrun(tmp_path: Path) -> None:
    """torchrun adds a report of its own, in which our processes have status 2."""
    done = torchrun(FAILING, tmp_path)
    assert done.returncode != 0
    assert done.stderr.count("error: --machine-rank 5 is not in 0..0.\n") == 1
    assert "exitcode  : 2" in done.stderr
    # The one trace is torchrun's.
    assert done.stderr.count("Traceback") == 1
    assert "torch.distributed.elastic.multiprocessing.errors.ChildFailedError" in done.stderr


@pytest.mark.slow
def test_torchrun_and_two_machines(tmp_path: Path) -> None:
    done = torchrun(SCRIPT, tmp_path, str(tmp_path))
    assert done.returncode == 0, done.stderr
    reports = read_reports(tmp_path)
    for known in reports:
        assert (known["world"], known["local_size"], known["local_rank"]) == (2, 1, 0)
        assert known["gathered"] == [{"rank": 0}, {"rank": 1}]
        assert known["seed"] == 100


def test_one_process_is_this_one() -> None:
    assert launch(os.getpid, "cpu", 1) == os.getpid()
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("name", ["lambda", "local", "prompt"])
def test_function_that_other_processes_cannot_import(monkeypatch, name: str) -> None:
    def local() -> None: ...

    def prompt() -> None: ...

    prompt.__qualname__, prompt.__module__ = "prompt", "__main__"
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    function = {"lambda": lambda: None, "local": local, "prompt": prompt}[name]
    with pytest.raises(ValueError, match=rf"the function .*{name}.* cannot be imported") as caught:
        launch(function, "cpu", 2)
    assert "put it at the top level of a file" in str(caught.value)
    assert launch(function, "cpu", 1) is None


@pytest.mark.slow
def test_script_without_a_guard(tmp_path: Path) -> None:
    """Its processes import it and would start processes themselves, each with a trace."""
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if "CUDA runtime" not in line]
    assert said == [
        "error: several processes import the script again, which must not start the job anew: "
        'write the call under `if __name__ == "__main__":`.'
    ]


IMPORTED = """
import time
import partialreid
from partialreid.runtime.errors import user_errors
from partialreid.engine.launching import launch
if __name__ == "__main__":
    with user_errors():
        launch(time.time, "cpu", 2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", [UNGUARDED, IMPORTED], ids=["own function", "imported function"])
def test_script_on_standard_input(script: str) -> None:
    """Processes would look for a file <stdin>, each with a trace."""
    done = subprocess.run(
        [sys.executable, "-"],
        input=script,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if "CUDA runtime" not in line]
    assert said == [
        "error: several processes import the script again, and <stdin> is no file: write the "
        "script into a file, and start that."
    ]


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("device", "num_gpus", "processes"),
    [("cpu", None, 1), ("cpu", 3, 3), ("cuda", None, 2), ("cuda", 1, 1), ("cuda", 2, 2)],
)
def test_processes_here(monkeypatch, device: str, num_gpus: int | None, processes: int) -> None:
    gpus(monkeypatch, 2)
    assert launching.processes_here(device, num_gpus) == processes


@pytest.mark.parametrize(
    ("device", "num_gpus"), [("cuda", 3), ("cuda", 0), ("cpu", 0), ("cpu", -1)]
)
def test_processes_that_cannot_be(monkeypatch, device: str, num_gpus: int) -> None:
    gpus(monkeypatch, 2)
    with pytest.raises(ValueError, match=f"--num-gpus {num_gpus}"):
        launching.processes_here(device, num_gpus)
