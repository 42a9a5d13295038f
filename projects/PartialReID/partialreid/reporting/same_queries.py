"""Were two evaluations asked the same queries? Else their difference tells nothing of systems."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from fastreid.config import get_cfg

from ..config import add_partialreid_config
from ..derived.held_out import SUFFIX as HELD_OUT
from ..synthetic.dataset import SyntheticPartial
from .run_record import protocol

# Keys of a record's protocol that say which queries there are and which gallery images count: those
# of all sets, of derived ones by the end of their names, and of others by a part of them.
OF_ALL = ("cameras",)
OF_DERIVED = {
    "Partial": ("derived.SIDES", "derived.PERCENT"),
    "Occluded": ("derived.KIND", "derived.SHARE"),
    "Small": ("derived.SIZE",),
}
OF_OTHERS = {"Synthetic": "synthetic", HELD_OUT: "held_out"}


def other_protocol(test: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The key by which two evaluations of a test set had other queries or galleries, or "".

    How a network is matched (lambda, kappa, sizes of images) is left out: it belongs to the system.
    So is what other sets are made by.

    Args:
        test: name of the set, with the suffixes of what it was made by.
        one, other: what their records say under "protocol". A key that an older record lacks was
            not there yet, and all was done as it is by default.
    """
    keys = [*OF_ALL, *(key for part, key in OF_OTHERS.items() if part in test), *_of_derived(test)]
    return next((key for key in keys if _value(one, key) != _value(other, key)), "")


def _of_derived(test: str) -> Iterator[str]:
    """The keys of what was done to the queries of a set; it may be derived from a derived one."""
    while test != SyntheticPartial.__name__:
        suffix = next((one for one in OF_DERIVED if test.endswith(one)), "")
        if not suffix:
            return
        yield from ("derived_seed", *OF_DERIVED[suffix])
        test = test.removesuffix(suffix)


def _value(record: Mapping[str, Any], key: str) -> Any:
    """What a record says under a key, or under a key of a node; by default what it lacks."""
    name, _, inner = key.partition(".")
    default = _default()[name]
    value = record.get(name, default)
    if isinstance(default, dict):
        value = {**default, **value}
    return value[inner] if inner else value


@functools.cache
def _default() -> dict[str, Any]:
    cfg = get_cfg()
    add_partialreid_config(cfg)
    return protocol(cfg)
