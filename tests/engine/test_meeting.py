"""Where processes meet: no addresses, ports that are taken, machines that do not come."""

from __future__ import annotations

import contextlib
import datetime
import socket
from collections.abc import Iterator

import pytest

from partialreid.engine import meeting
from partialreid.engine.meeting import (
    check_machines,
    free_port,
    host_and_port,
    meet,
    meet_as_launched,
)
from partialreid.runtime.errors import sentence


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("", 0)) as server:
        yield server.getsockname()[1]


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
        check_machines(machines, rank, url)
    assert said in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:29500", "tcp://localhost", "http://localhost:1", "x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_machines(2, 1, url)
    assert str(caught.value) == f"--dist-url {url} is no address: it is tcp://HOST:PORT."


def test_address() -> None:
    assert host_and_port("tcp://10.0.0.1:29500") == ("10.0.0.1", 29500)
    assert host_and_port("tcp://[::1]:29500") == ("::1", 29500)
    check_machines(2, 1, "tcp://127.0.0.1:29500")
    check_machines(2, 0, f"tcp://127.0.0.1:{free_port()}")


def test_machine_that_nobody_knows() -> None:
    with pytest.raises(ValueError, match=r"there is no machine nobody\.invalid"):
        check_machines(2, 1, "tcp://nobody.invalid:29500")


def test_taken_port_is_said_before_work(taken: int) -> None:
    with pytest.raises(ValueError) as caught:
        check_machines(1, 0, f"tcp://127.0.0.1:{taken}")
    assert f"port {taken} of this machine cannot be used" in str(caught.value)
    assert "name another one, or end the job that holds it" in str(caught.value)
    check_machines(2, 1, f"tcp://127.0.0.1:{taken}")  # There it should be taken, by machine 0.


def test_port_that_is_taken_meanwhile(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "the port is in use on this machine: name another one, or end the job that holds it."
    with pytest.raises(ValueError) as caught:
        meet(f"tcp://127.0.0.1:{taken}", 0, 2)
    assert sentence(caught.value) == f"--dist-url tcp://127.0.0.1:{taken}: {said}"
    # The same under a launcher that leaves it to rank 0 to listen.
    for name, value in (("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", taken), ("RANK", 0)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    with pytest.raises(ValueError) as caught:
        meet_as_launched("gloo", datetime.timedelta(seconds=5))
    assert str(caught.value) == f"MASTER_ADDR 127.0.0.1, MASTER_PORT {taken}: {said}"


def test_machine_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "MEETING", datetime.timedelta(seconds=1))
    with pytest.raises(ValueError) as caught:
        meet(f"tcp://127.0.0.1:{free_port()}", 0, 2)
    assert "the 2 processes of the job have not all come there" in str(caught.value)
    assert "1/2 clients joined" in str(caught.value)


def test_free_ports_are_free_and_differ() -> None:
    """FastReID's default port is one for each user: two of his jobs collide."""
    with contextlib.ExitStack() as stack:
        ports = set()
        for _ in range(2):
            port = free_port()
            server = stack.enter_context(socket.socket())
            server.bind(("127.0.0.1", port))
            server.listen()
            ports.add(port)
        assert len(ports) == 2
        with pytest.raises(OSError), socket.socket() as taken:
            taken.bind(("127.0.0.1", min(ports)))
