"""Where a command speaks: its results on standard output, all else on standard error."""

from __future__ import annotations

import logging
import sys


def say(text: str) -> None:
    """Write a result, a line or several, to standard output.

    What the encoding of that has no letters for, such as bytes of a file name that are no text, is
    written as \\xNN or \\uNNNN.
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding, sys.stdout.errors or "strict")
    except UnicodeEncodeError:
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    sys.stdout.write(f"{text}\n")


def log_to_stderr() -> None:
    """Show this package's messages on standard error: what a command does while it works."""
    package = logging.getLogger("partialreid")
    if not package.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%m/%d %H:%M:%S"))
        package.addHandler(handler)
    package.setLevel(logging.INFO)
