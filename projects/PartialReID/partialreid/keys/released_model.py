"""The model that comes with the package, and the file that a name of a model means."""

from __future__ import annotations

import os
from pathlib import Path

RELEASED = "partialreid_mobilenetv2_market.safetensors"


def models_folder() -> Path:
    """The folder of the released model: in an installed copy inside it, else of the repository."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parents[2] / "models"


def find_model(name: str = "") -> str:
    """The file that a model is read from.

    Args:
        name: a path, or the name of a model that comes with the package; "" means the released one.

    Raises:
        ValueError: there is no such file; names the model that there is.
    """
    path = os.path.expanduser(name or RELEASED)
    if os.path.isfile(path):
        return path
    folder = models_folder()
    if os.path.basename(path) == path and (folder / path).is_file():
        return str(folder / path)
    if os.path.isdir(path):
        raise ValueError(f'the model file "{path}" is a folder: name the file in it.')
    released = (folder / RELEASED).is_file()
    raise ValueError(
        f'the model file "{path}" is not there: correct its name'
        + (f", or name none to take the released {RELEASED}." if released else ".")
    )
