"""`partialreid COMMAND ...`: which command is meant.

A command's file, and torch with it, is imported when the command runs, so that the list of commands
is there at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..runtime.errors import USER_ERROR
from .output import say

# Each command with its file in this folder and what it does.
COMMANDS = {
    "search": ("search", "search own pictures for the person of a query"),
    "index": ("index", "keep a gallery on disk"),
    "train": ("train", "train a network, then evaluate it"),
    "evaluate": ("evaluate", "evaluate a checkpoint"),
    "compare": ("compare", "compare several checkpoints on several test sets in one table"),
    "rankings": ("rankings", "show ranked lists of a test set, and why they are so"),
    "export": ("export", "write a checkpoint into one model file, or its network into ONNX"),
    "calibrate": ("calibrate", "learn what a model's distances mean"),
    "select-lambda": ("select_lambda", "choose lambda on identities that were kept from training"),
}
HELP, VERSION = ("-h", "--help"), "--version"


def overview() -> str:
    """The commands, a line each."""
    lines = [f"  {name:<15}{does}" for name, (_, does) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: partialreid COMMAND ...",
            "",
            "Partial and occluded person re-identification on FastReID.",
            "",
            *lines,
            "",
            "partialreid COMMAND --help says what a command takes; --version says which version",
            "this is.",
        ]
    )


def is_command(argv: Sequence[str]) -> bool:
    """Whether the words after `partialreid` begin with a command, whatever follows it."""
    return bool(argv) and argv[0] in COMMANDS


def lists_commands() -> bool:
    """Whether this process is `partialreid` without a command, which needs no FastReID."""
    # While Python looks for what -m names, the first argument is "-m" itself.
    as_module = sys.argv[:1] == ["-m"] and "partialreid" in sys.orig_argv
    as_script = Path(sys.argv[0] if sys.argv else "").stem == "partialreid"
    return (as_module or as_script) and not is_command(sys.argv[1:])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names, with the rest as its command line.

    Returns:
        The exit status.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in HELP:
        say(overview())
        return 0
    if argv[0] == VERSION:
        say(f"partialreid {__version__}")
        return 0
    name, *rest = argv
    if not is_command(argv):
        known = ", ".join(COMMANDS)
        sys.stderr.write(f'error: there is no command "{name}": the commands are {known}.\n')
        return USER_ERROR
    try:
        # Says how to install FastReID where it is missing.
        importlib.import_module("..compat", __package__)
    except ImportError as error:
        sys.stderr.write(f"error: {error}\n")
        return USER_ERROR
    command = importlib.import_module(f".{COMMANDS[name][0]}", __package__)
    status: int = command.main(rest, prog=f"partialreid {name}")
    return status
