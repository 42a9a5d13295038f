"""Which errors are a user's, to be said in one sentence, and which are the program's.

A `raise` statement in this package or in FastReID was written by somebody who foresaw what goes
wrong and has said it in a sentence. What the system refuses (no room, no permission) is no fault of
the program either. Everything else was foreseen by nobody: it keeps its trace.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator

from .traces import origin_of

# Exit statuses: of an error of the user, and, as shells have it, of Ctrl-C.
USER_ERROR = 2
INTERRUPTED = 130
# Under torchrun most errors strike all processes alike. The main one reports it at once, and
# torchrun then ends the others. They wait this long before they report it themselves, for the case
# that the main one had no error.
SECONDS_FOR_MAIN = 10.0

PACKAGE = f"{__name__.partition('.')[0]}."
# Raised on purpose, but for the author of a class, or because the program contradicts itself.
UNFORESEEN = ("NotImplementedError", "AssertionError")
# What torch and numpy raise when there is no memory, and what may be said of it.
NO_MEMORY = re.compile(r"out of memory|can't allocate memory|Unable to allocate|not enough memory")
# A line with a raise statement, alone or after a condition: `else: raise KeyError(...)`.
RAISES = re.compile(r"(^|:\s*)raise\b")
LOST_WORKER = re.compile(r"DataLoader worker \(pid.*(killed by signal|exited unexpectedly)")
# What Python says of a connection whose other end has died, or whose socket went with it.
CUT_OFF = (
    *("EOFError", "FileNotFoundError", "BrokenPipeError"),
    *("ConnectionError", "ConnectionResetError", "ConnectionRefusedError"),
)
LOST_PROCESS = re.compile(r"^torch\.distributed\.Dist\w*Error|/gloo/", re.MULTILINE)


def sentence(error: BaseException) -> str | None:
    """What to tell the user about an error; None for one of the program, which keeps its trace.

    Args:
        error: as caught; its trace may be that of a loader worker or of another process.
    """
    try:
        return _sentence(error)
    except RuntimeError as late:
        # torch tells of a dead loader worker from a signal handler, which breaks in anywhere.
        return _sentence(late)


def _sentence(error: BaseException) -> str | None:
    trace = "".join(traceback.format_exception(error))
    origin = origin_of(trace)
    if origin is None:
        return None
    said = origin.text or origin.kind.rpartition(".")[2]
    if origin.kind in CUT_OFF and "resource_sharer.py" in trace:
        # A loader worker that dies takes with it the tensors that it has announced.
        said = f"DataLoader worker (pid unknown) exited unexpectedly: {said}"
    if LOST_PROCESS.search(f"{origin.kind}: {said}"):
        return f"another process of this job has ended; its own message says why ({_first(said)})."
    if LOST_WORKER.search(said):
        return (
            "a process that loads images has ended, mostly for lack of memory: lower "
            f"DATALOADER.NUM_WORKERS ({_first(said)})."
        )
    if origin.kind == "MemoryError" or NO_MEMORY.search(said):
        return (
            "there is not enough memory: lower SOLVER.IMS_PER_BATCH in training, "
            f"TEST.IMS_PER_BATCH or TEST.DSR.MEMORY_GB in an evaluation ({_first(said)})."
        )
    if origin.kind.endswith("ProcessExitedException"):
        return f"{said}: it was ended from outside, or has said why above."
    if origin.kind.startswith(PACKAGE):
        return said  # A class of this package, wherever torch has raised it again.
    on_purpose = RAISES.search(origin.line) and origin.kind not in UNFORESEEN
    if on_purpose and any(origin.path.startswith(folder) for folder in package_folders()):
        return said
    kind = getattr(builtins, origin.kind, None)
    if isinstance(kind, type) and issubclass(kind, OSError) and said.startswith("[Errno "):
        return said.partition("] ")[2]
    return None


def lost_process(error: BaseException) -> bool:
    """Whether an error only says that another process of the job is gone."""
    origin = origin_of("".join(traceback.format_exception(error)))
    return origin is not None and bool(LOST_PROCESS.search(f"{origin.kind}: {origin.text}"))


def package_folders() -> list[str]:
    """The folders of this package and of FastReID, each with a separator at its end."""
    folders = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    spec = importlib.util.find_spec("fastreid")
    if spec is not None and spec.submodule_search_locations:
        folders += spec.submodule_search_locations
    return [os.path.join(folder, "") for folder in folders]


def _first(text: str) -> str:
    return text.splitlines()[0].rstrip(".") if text else "no message"


@contextlib.contextmanager
def user_errors(goes_on: str = "") -> Iterator[None]:
    """End the process with one line and status 2 on an error of the user, or of the system.

    An error of the program goes through, with its trace.

    Args:
        goes_on: how the work can be taken up again, which is said after Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted{goes_on and '; '}{goes_on}\n")
        sys.exit(INTERRUPTED)
    except Exception as error:
        said = sentence(error)
        if said is None:
            raise
        if os.environ.get("RANK", "0") != "0":
            time.sleep(SECONDS_FOR_MAIN)
        sys.stderr.write(f"error: {said}\n")
        sys.exit(USER_ERROR)


def keep_trace(error: BaseException) -> None:
    """Write an error's trace into the log file alone: the terminal gets a sentence, or Python's."""
    logger = logging.getLogger("partialreid")
    record = logger.makeRecord(
        logger.name,
        logging.ERROR,
        __file__,
        0,
        "this run has ended with an error",
        (),
        (type(error), error, error.__traceback__),
    )
    for handler in logger.handlers:
        if "log.txt" in str(getattr(getattr(handler, "stream", None), "name", "")):
            handler.handle(record)
