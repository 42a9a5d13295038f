"""Files that are written whole or not at all.

It is written here as the package atomicwrites, which did it, is no longer kept by its author, and
as the error has to say what is left where.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from typing import BinaryIO

# The disk is full, or what the user or the process may write is used up.
NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write into, which takes the place of `path` when the body is done.

    It lies beside `path` under a temporary name and is on the disk before it is renamed: after a
    power cut or on a full disk `path` is what it was before, or absent as before.

    Args:
        path: of the file to be; its folder is there.

    Raises:
        OSError: it cannot be written, as the disk is full or may not be written to.
    """
    with whole_files(path) as (file,):
        yield file


@contextlib.contextmanager
def whole_files(*paths: str | os.PathLike[str]) -> Iterator[list[BinaryIO]]:
    """Files that belong together; as `whole_file`, and none is renamed before all are written.

    Raises:
        OSError: one cannot be written; then all are what they were before.
    """
    parts = [f"{os.fspath(path)}.tmp" for path in paths]
    try:
        for path in paths:
            if os.path.isdir(path):  # else it is found out when some have been renamed
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        with contextlib.ExitStack() as stack:
            files: list[BinaryIO] = [stack.enter_context(open(part, "wb")) for part in parts]
            yield files
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    except Exception as error:
        reason = _refusal(error)
        if reason is None:
            raise
        names = " and ".join(f'"{os.fspath(path)}"' for path in paths)
        raise OSError(
            f"{names} cannot be written ({reason}); no part of it is left, and an earlier one "
            "stays: make room there, or choose another folder."
        ) from error
    finally:
        for part in parts:
            # A folder of that name is not ours: it was why nothing could be written.
            with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                os.remove(part)


@contextlib.contextmanager
def written_into(folder: str) -> Iterator[None]:
    """Name the folder where the system has no room for what the body writes, and names no file.

    Args:
        folder: OUTPUT_DIR, into which other packages write as well.

    Raises:
        OSError: there is no room; whatever else the body raises stays as it is.
    """
    try:
        yield
    except OSError as error:
        # A file that is open has no name in the error, as it has one in those of `whole_file`.
        if error.errno not in NO_ROOM or error.filename is not None:
            raise
        raise OSError(
            f'a file cannot be written ({error.strerror}): make room in OUTPUT_DIR "{folder}", or '
            "choose another folder."
        ) from error


def _refusal(error: BaseException | None) -> str | None:
    """What the system said when it refused to write; None if it did not."""
    while error is not None:
        # torch.save raises an error of its own over the system's.
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        error = error.__cause__ or error.__context__
    return None


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in one step, in UTF-8."""
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], data: object) -> None:
    """Write JSON in one step, keys in the order given."""
    write_text(path, json.dumps(data, indent=2) + "\n")
