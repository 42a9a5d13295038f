"""Processes: how many, where they meet, and that a failing one ends the job."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

# Child processes import this module and no conftest: partialreid comes before fastreid here too.
import partialreid  # noqa: F401
from partialreid import command, launching
from partialreid.command import share_seed, user_errors
from partialreid.launching import comm, launch
from tests.paths import ROOT

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")
SCRIPT = """
import os, sys
from tests.test_launching import launch, report
# Two machines of one process each, as their processes see them.
os.environ.update(LOCAL_RANK="0", LOCAL_WORLD_SIZE="1")
assert launch(report, "cpu", 7, args=(sys.argv[1],)) == "returned"
"""


@pytest.fixture(autouse=True)
def no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_hang(time_limit) -> Iterator[None]:
    """Fails a test that waits for its processes for ever, and ends them."""
    try:
        with time_limit(400):
            yield
    finally:
        for child in multiprocessing.active_children():
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
    with user_errors():
        comm.synchronize()  # rank 1 never comes; that is no error of the input


def refuse_input() -> None:
    with user_errors():
        raise ValueError("the input is wrong")


def read_reports(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes(tmp_path: Path, no_hang: None, capfd: pytest.CaptureFixture[str]) -> None:
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


def test_failing_process_ends_the_job_with_its_error(no_hang: None) -> None:
    with pytest.raises(ProcessRaisedException, match="rank 1 has failed") as caught:
        launch(fail_on_rank_1, "cpu", 2)
    assert "ValueError" in str(caught.value)
    assert multiprocessing.active_children() == []


def test_error_of_the_input_is_said_once(no_hang: None, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProcessExitedException) as caught:
        launch(refuse_input, "cpu", 2)
    assert caught.value.exit_code == 2
    errors = capfd.readouterr().err
    assert errors.count("error: the input is wrong\n") == 1
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("main_process", "waited"), [(True, []), (False, [command.SECONDS_FOR_MAIN])]
)
def test_other_processes_let_the_main_one_speak(
    monkeypatch, capsys, main_process: bool, waited: list[float]
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(command.time, "sleep", naps.append)
    monkeypatch.setattr(command.comm, "is_main_process", lambda: main_process)
    with pytest.raises(SystemExit) as caught, user_errors():
        raise KeyError("some reason")
    assert caught.value.code == 2
    assert naps == waited
    # The others speak as well if the main one has not ended them: it may have no error.
    assert capsys.readouterr().err == "error: some reason\n"


def test_torchrun_and_two_machines(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    module = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, "-m", *module, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reports = read_reports(tmp_path)
    for known in reports:
        assert (known["world"], known["local_size"], known["local_rank"]) == (2, 1, 0)
        assert known["gathered"] == [{"rank": 0}, {"rank": 1}]
        assert known["seed"] == 100


def test_one_process_is_this_one() -> None:
    assert launch(os.getpid, "cpu", 1) == os.getpid()
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("machines", "rank", "url", "said"),
    [
        (2, 0, None, "--num-machines needs --dist-url tcp://HOST:PORT"),
        (2, 2, "tcp://host:1", "--machine-rank 2 is not in 0..1"),
        (1, 1, None, "--machine-rank 1 is not in 0..0"),
        (1, -1, None, "--machine-rank -1"),
    ],
)
def test_machines_that_cannot_meet(machines: int, rank: int, url: str | None, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        launch(os.getpid, "cpu", 1, machines, rank, url)
    assert said in str(caught.value)


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("count", "wanted", "device"),
    [(0, "auto", "cpu"), (0, "cpu", "cpu"), (2, "auto", "cuda"), (2, "cuda", "cuda"),
     (2, "cpu", "cpu")],
)  # fmt: skip
def test_device(monkeypatch, count: int, wanted: str, device: str) -> None:
    gpus(monkeypatch, count)
    assert launching.resolve_device(wanted) == device


@pytest.mark.parametrize(
    ("count", "wanted", "said"),
    [(0, "cuda", "torch sees no GPU: set MODEL.DEVICE cpu"),
     (2, "cuda:1", "CUDA_VISIBLE_DEVICES selects"), (0, "gpu", "auto, cuda or cpu")],
)  # fmt: skip
def test_device_that_is_not_there(monkeypatch, count: int, wanted: str, said: str) -> None:
    gpus(monkeypatch, count)
    with pytest.raises(ValueError, match=r"MODEL\.DEVICE is") as caught:
        launching.resolve_device(wanted)
    assert said in str(caught.value)


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


def test_free_ports_are_free_and_differ() -> None:
    """FastReID's default port is one for each user: two of his jobs collide."""
    with contextlib.ExitStack() as stack:
        ports = set()
        for _ in range(2):
            port = launching.free_port()
            server = stack.enter_context(socket.socket())
            server.bind(("127.0.0.1", port))
            server.listen()
            ports.add(port)
        assert len(ports) == 2
        with pytest.raises(OSError), socket.socket() as taken:
            taken.bind(("127.0.0.1", min(ports)))
