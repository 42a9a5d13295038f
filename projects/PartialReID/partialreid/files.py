"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
from typing import Any


def write_text(path: str, text: str) -> None:
    """Write a text file in one step: under a temporary name, then renamed."""
    try:
        with open(path + ".tmp", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".tmp", path)
    finally:
        if os.path.exists(path + ".tmp"):
            os.remove(path + ".tmp")


def write_json(path: str, data: Any) -> None:
    """Write JSON in one step, keys in the order given."""
    write_text(path, json.dumps(data, indent=2) + "\n")
