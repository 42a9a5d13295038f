"""A folder for results: made before the work, and gone again where the work fails."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def new_folder(folder: str) -> Iterator[None]:
    """Make a folder for what the body writes, unless it is there, and see that it can be written.

    Where the body fails, what was made of it goes again, but for what somebody has put there.

    Raises:
        OSError: it cannot be made, or may not be written to.
    """
    made, above = list[str](), os.path.abspath(folder)
    while not os.path.lexists(above):
        made.append(above)
        above = os.path.dirname(above)
    try:
        try:
            os.makedirs(folder, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise OSError(
                f'the folder "{folder}" cannot be written ({error.strerror}): name another.'
            ) from error
        yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):  # it is not empty, or was never made
                os.rmdir(path)
        raise
