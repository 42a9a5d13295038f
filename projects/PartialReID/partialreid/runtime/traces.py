"""Where an error comes from, read from the text of its trace.

An error of a loader worker or of another process arrives with its trace as text alone. An error of
this process is therefore read in the same form, and one rule holds for all three.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

TRACE = "Traceback (most recent call last):\n"
FRAME = re.compile(r'  File "(?P<path>.+)", line \d+, in ')
ERROR = re.compile(r"(?P<kind>[A-Za-z_][\w.]*)(?:: (?P<text>.*))?", re.DOTALL)


class Origin(NamedTuple):
    """Where an error comes from, and what it says.

    Attributes:
        path: of the source file that raised it.
        line: the source line there; of a statement over several lines the first.
        kind: name of its class, with the module if that is not `builtins`.
        text: its message.
    """

    path: str
    line: str
    kind: str
    text: str


def origin_of(trace: str) -> Origin | None:
    """Read the last trace of a text; an error that carries another one's trace has it last.

    Args:
        trace: what `traceback.format_exception` gives, joined.

    Returns:
        None where there is no trace, as the error was never raised.
    """
    if TRACE not in trace:
        return None
    lines = trace.rpartition(TRACE)[2].splitlines()
    path = line = ""
    for number, content in enumerate(lines):
        if frame := FRAME.match(content):
            path = frame["path"]
            line = lines[number + 1].strip() if number + 1 < len(lines) else ""
        elif not content.startswith(" ") and (said := ERROR.fullmatch("\n".join(lines[number:]))):
            kind, text = said["kind"], said["text"] or ""
            if kind == "KeyError" and text[:1] in ("'", '"'):
                text = str(ast.literal_eval(text))  # Its message is the repr of its argument.
            return Origin(path, line, kind, text.rstrip())
    return None
