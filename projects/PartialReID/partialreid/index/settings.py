"""Whether what an index says of itself is all there, and what was written.

The table `about` holds it by its keys: which model made it, what its images have in common, the
coarse space. All of it is looked at whenever a commit is opened, as all else depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .errors import damaged
from .packing import checksum

CHECKSUM = "checksum"
ALWAYS: dict[str, type] = {"commit": int, "version": str, "model": str, "about": str, "coarse": str}
WITH_IMAGES: dict[str, type] = {  # since the first of them
    **{"channels": int, "dimensions": int, "features": str},
    **{"basis": bytes, "mean": bytes, "space checksum": int},
    **{"added": int, "fits": int, "fitted": int},
}
AS_JSON = ("about", "coarse")
# Large, and read by few: "space checksum" is theirs.
OF_THE_SPACE = ("basis", "mean")


def settings_checksum(about: Mapping[str, Any]) -> int:
    """Of all rows of `about` but the checksum itself and the numbers of the coarse space."""
    rows = [row for row in about.items() if row[0] not in (CHECKSUM, *OF_THE_SPACE)]
    # A key may have become something else than text, which cannot be sorted among text.
    return checksum("\n".join(sorted(map(ascii, rows))).encode())


def require_settings(path: str, about: Mapping[str, Any], summed: bool) -> None:
    """Raise ValueError unless the rows of `about` are those that were written.

    Args:
        path: of the index.
        about: values by their keys.
        summed: whether there must be a checksum; what an earlier version wrote has none, and only
            its kinds of values can be looked at.
    """
    wanted = ALWAYS | ({CHECKSUM: int} if summed else {})
    if not about.keys().isdisjoint(WITH_IMAGES):
        wanted |= WITH_IMAGES
    for key, kind in wanted.items():
        if not isinstance(about.get(key), kind):
            raise damaged(path, f'what it says of itself has no "{key}"')
    if summed and about[CHECKSUM] != settings_checksum(about):
        raise damaged(path, "what it says of itself is not what was written")
    for key in AS_JSON:
        try:
            readable = isinstance(json.loads(about[key]), dict)
        except ValueError:
            readable = False
        if not readable:
            raise damaged(path, f'"{key}" of what it says of itself cannot be read')
