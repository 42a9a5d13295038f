"""Which source has made a result: its commit where git knows it, its version everywhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .. import __version__

# Git sets these variables for its hooks. In a hook of another repository they would make git look
# into that one.
OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
SECONDS = 10.0  # for git, which may wait for a file system


def version_of_source() -> str:
    """The version of this package, also where it is not installed but on the path."""
    return __version__


def commit_of_source(file: Path | None = None) -> str | None:
    """The commit of this package's source, marked `-dirty` if the tree has changes.

    Args:
        file: a file of the source; by default this one.

    Returns:
        None where git does not track the file: an installed copy may well lie inside somebody's
        repository, whose commit says nothing of it.
    """
    file = Path(__file__).resolve() if file is None else file
    if _git(file, "ls-files", "--error-unmatch", "--", file.name) is None:
        return None
    # Without tags, whose names would take the place of the commit.
    return _git(file, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(file: Path, *arguments: str) -> str | None:
    """What git says in the folder of a file, None if it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(file.parent), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={name: text for name, text in os.environ.items() if name not in OF_A_HOOK},
            timeout=SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
