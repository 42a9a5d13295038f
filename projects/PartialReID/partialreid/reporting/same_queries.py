"""Were two evaluations asked the same queries? Else their difference tells nothing of systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..derived.dataset import SUFFIXES
from ..derived.held_out import SUFFIX as HELD_OUT

# Keys of a record's protocol that say which queries there are and which gallery images count: those
# of all sets, of derived ones by the end of their names, and of others by a part of them.
OF_ALL = ("cameras",)
OF_DERIVED = ("derived", "derived_seed")
OF_OTHERS = {"Synthetic": "synthetic", HELD_OUT: "held_out"}


def other_protocol(test: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The key by which two evaluations of a test set had other queries or galleries, or "".

    How a network is matched (lambda, kappa, sizes of images) is left out: it belongs to the system.

    Args:
        test: name of the set, with the suffixes of what it was made by.
        one, other: what their records say under "protocol".
    """
    keys = [*OF_ALL, *(key for part, key in OF_OTHERS.items() if part in test)]
    if test.endswith(tuple(SUFFIXES)):
        keys += OF_DERIVED
    return next((key for key in keys if one.get(key) != other.get(key)), "")
