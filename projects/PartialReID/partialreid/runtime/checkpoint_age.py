"""How long the training of a checkpoint has been, as far as its file says so."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch


def age_of(data: Mapping[str, Any]) -> str:
    """Epoch and iteration in the dict of a checkpoint, in brackets behind a space; "" if absent."""
    known = [f"{name} {data[name]}" for name in ("epoch", "iteration") if name in data]
    return f" ({', '.join(known)})" if known else ""


def age_in_file(path: str) -> str:
    """The same of a file; "" where it cannot be read. For a message about something else."""
    try:
        data = torch.load(os.path.expanduser(path), map_location="cpu", weights_only=True)
    except Exception:  # torch raises errors of many kinds
        return ""
    return age_of(data) if isinstance(data, dict) else ""
