"""FastReID's own data sets, with errors that name the file or folder and the cure.

FastReID answers an absent folder with a path of another layout, and a name out of range with a bare
assertion. `stock_checks` finds what it would lose or misread without a word.
"""

from __future__ import annotations

import glob
import os
import re
import traceback
import warnings
from types import FrameType
from typing import Any

from .stock_checks import NAME, anywhere_in_the_path, check_files, check_names, published_range

FOLDERS = {
    "Market1501": ("Market-1501-v15.09.15",),
    "MSMT17": ("MSMT17_V1", "MSMT17_V2"),
}
"""Below the data root, where the class itself does not say it in `dataset_dir`."""

WORDS = {"pid": "identity", "camid": "camera"}
NO_FOLDER = "Dataset folder not found"  # MSMT17's assertion


def is_stock(kind: Any) -> bool:
    """Whether FastReID's code reads a data set: one of its own, or a subclass with its reading."""
    reader = getattr(kind, "process_dir", None) or getattr(kind, "process_train", kind)
    return str(getattr(reader, "__module__", "")).startswith("fastreid.data.datasets.")


def load_stock(kind: Any, root: str, **kwargs: Any) -> Any:
    """One of FastReID's own sets.

    Args:
        kind: its class.
        root: the data root.
        kwargs: for its constructor.

    Raises:
        FileNotFoundError: a folder is absent, or an image that a list names.
        ValueError: a name cannot be understood or is out of range, the identity was read from a
            folder, or images would be left out.
    """
    name, full = kind.__name__, os.path.abspath(root)
    cure = f'The data root is "{full}": correct DATASETS.ROOT or the variable FASTREID_DATASETS.'
    if glob.escape(root) != root:
        raise ValueError(
            f"{name}: FastReID finds images by patterns, in which * ? and [ have a meaning of "
            f"their own, and finds none below a folder that is named with them. {cure}"
        )
    try:
        with warnings.catch_warnings():
            # It takes an absent folder for an old layout and says so before it says the truth.
            warnings.filterwarnings("ignore", message="The current data structure is deprecated")
            data = kind(root=root, **kwargs)
        parts = {"train": data.train, "query": data.query, "gallery": data.gallery}
    except (RuntimeError, OSError, AssertionError, AttributeError, IndexError, ValueError) as error:
        if isinstance(error, (RuntimeError, OSError)) or str(error) == NO_FOLDER:
            raise FileNotFoundError(f"{name}: {_absent(kind, full, error)}. {cure}") from error
        raise ValueError(f"{name}: {_misread(kind, full, error)}") from error
    check_names(kind, full, parts)
    check_files(kind, data, parts)
    return data


def _absent(kind: Any, root: str, error: Exception) -> str:
    below = FOLDERS.get(kind.__name__) or (kind.dataset_dir,)
    folders = [os.path.join(root, *folder.split("/")) for folder in below]
    if any(os.path.isdir(folder) for folder in folders):
        return str(error)
    return "there is no folder " + " or ".join(f'"{folder}"' for folder in folders)


def _misread(kind: Any, root: str, error: Exception) -> str:
    """What FastReID's code could not read, from its variables at the line where it failed."""
    frame, line = _failed_at(error)
    if frame is None:
        return f"its lists cannot be understood: {error or type(error).__name__}."
    path = str(frame.f_locals["img_path"])
    bounds = re.match(r"assert (\d+) <= (pid|camid) <= (\d+)", line)
    if bounds is None:
        return (
            f'no identity and camera can be read from the file name of "{path}". Name the files as '
            "the set is published, or move this one away."
        )
    low, variable, high = bounds.groups()
    value = int(frame.f_locals[variable])
    match = NAME.search(os.path.basename(path))
    its_own = match is not None and int(match[1 if variable == "pid" else 2]) == value
    return f'{WORDS[variable]} {value} of "{path}" is outside {low} to {high}. ' + (
        published_range(kind) if its_own else anywhere_in_the_path(kind, root)
    )


def _failed_at(error: Exception) -> tuple[FrameType | None, str]:
    """The innermost frame that handles an image, and its line of code."""
    found: tuple[FrameType | None, str] = (None, "")
    for frame, number in traceback.walk_tb(error.__traceback__):
        if "img_path" in frame.f_locals:
            summary = traceback.FrameSummary(frame.f_code.co_filename, number, "")
            found = (frame, summary.line or "")
    return found
