"""Where the processes of a job meet: an address of machine 0."""

from __future__ import annotations

import datetime
import os
import socket
from urllib.parse import urlsplit

import torch.distributed as dist

# Long enough to start the command on one machine after the other by hand.
MEETING = datetime.timedelta(minutes=15)


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_machines(num_machines: int, machine_rank: int, dist_url: str | None) -> None:
    """Check the arguments that place this machine in the job.

    Raises:
        ValueError: several machines without an address, a rank out of range, or an address that is
            none, that nobody knows or, on machine 0, whose port is taken.
    """
    if num_machines > 1 and not dist_url:
        raise ValueError(
            "--num-machines needs --dist-url tcp://HOST:PORT, an address of machine 0 that all "
            "machines can reach."
        )
    if not 0 <= machine_rank < num_machines:
        raise ValueError(f"--machine-rank {machine_rank} is not in 0..{num_machines - 1}.")
    if dist_url:
        host, port = host_and_port(dist_url)
        try:
            socket.getaddrinfo(host, port)
        except OSError as error:
            raise ValueError(
                f"--dist-url {dist_url}: there is no machine {host} ({error.strerror}): give the "
                "name or number of machine 0."
            ) from error
        if machine_rank == 0:
            _check_port(dist_url, port)


def host_and_port(dist_url: str) -> tuple[str, int]:
    """The two parts of tcp://HOST:PORT.

    Raises:
        ValueError: it is of another form.
    """
    try:
        parts = urlsplit(dist_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme != "tcp":
        raise ValueError(f"--dist-url {dist_url} is no address: it is tcp://HOST:PORT.")
    return host, port


def _check_port(dist_url: str, port: int) -> None:
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise ValueError(
            f"--dist-url {dist_url}: port {port} of this machine cannot be used "
            f"({error.strerror}): name another one, or end the job that holds it."
        ) from error


def meet(dist_url: str, rank: int, world: int) -> dist.Store:
    """Wait until all processes of a job have come to an address.

    Args:
        dist_url: tcp://HOST:PORT, of the machine where rank 0 is.
        rank: of this process.
        world: how many there are.

    Raises:
        ValueError: the port is taken, or not all have come within `MEETING`.
    """
    host, port = host_and_port(dist_url)
    try:
        return dist.TCPStore(host, port, world, is_master=rank == 0, timeout=MEETING)
    except RuntimeError as error:
        raise ValueError(_why(error, f"--dist-url {dist_url}", world)) from error


def meet_as_launched(backend: str, timeout: datetime.timedelta) -> None:
    """Join the job of torchrun, or of another launcher that sets the same variables.

    Raises:
        ValueError: the port is taken, or not all have come.
    """
    try:
        dist.init_process_group(backend, timeout=timeout)
    except RuntimeError as error:  # before torch 2.5 of no kind of its own
        address = (
            f"MASTER_ADDR {os.environ['MASTER_ADDR']}, MASTER_PORT {os.environ.get('MASTER_PORT')}"
        )
        raise ValueError(_why(error, address, int(os.environ["WORLD_SIZE"]))) from error


def _why(error: RuntimeError, address: str, world: int) -> str:
    said = str(error).splitlines()[0]
    if "EADDRINUSE" in said:
        return (
            f"{address}: the port is in use on this machine: name another one, or end the job that "
            "holds it."
        )
    return (
        f"{address}: the {world} processes of the job have not all come there: start the command "
        f"on every machine, with the same address and its own rank ({said.rstrip('.')})."
    )
