"""Time of work on a device.

An operation on a GPU returns as soon as it is asked for. A clock that is read then has measured how
long the asking took.
"""

from __future__ import annotations

import time

import torch


def seconds_on(device: torch.device | str) -> float:
    """Read a clock, in seconds, once all work that `device` was given is done."""
    device = torch.device(device)
    if device.type != "cpu":
        getattr(torch, device.type).synchronize(device)
    return time.perf_counter()
