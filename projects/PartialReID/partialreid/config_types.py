"""Config keys that hold a word or a number.

yacs replaces a value by one of its own type alone: neither a word by a number nor a whole number by
a fraction. None it replaces by anything, and these keys hold None while others are merged into
them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fastreid.config import CfgNode as CN

WORD_OR_NUMBER = ("TEST.DSR.MEMORY_GB",)


class MixedConfig(CN):
    """FastReID's config with keys that take a word or a number, which becomes a float."""

    @classmethod
    def _decode_cfg_value(cls, value: Any) -> Any:
        # Nodes are compared by their class, and those below this one are plain.
        return CN._decode_cfg_value(value)

    def merge_from_other_cfg(self, cfg_other: Any) -> None:
        """Merge another config, such as that of a file, into this one."""
        with _open_to_any_type(self):
            super().merge_from_other_cfg(cfg_other)

    def merge_from_list(self, cfg_list: list[Any]) -> None:
        """Merge keys and values, such as those of a command line, into this config."""
        with _open_to_any_type(self):
            super().merge_from_list(cfg_list)


def accept_words_and_numbers(cfg: CN) -> None:
    """Make a config, and the clones of it, a `MixedConfig`, in place."""
    # Not by an assignment, which a config takes for one to a key.
    object.__setattr__(cfg, "__class__", MixedConfig)


@contextlib.contextmanager
def _open_to_any_type(cfg: CN) -> Iterator[None]:
    places = []
    for key in WORD_OR_NUMBER:
        *parents, name = key.split(".")
        node = cfg
        for parent in parents:
            node = node.get(parent, {})
        if name in node:
            places.append((node, name, node[name]))
            # As an item and not as an attribute, which a frozen config refuses.
            node[name] = None
    try:
        yield
    finally:
        for node, name, before in places:
            node[name] = before if node[name] is None else _as_number(node[name])


def _as_number(value: Any) -> Any:
    with contextlib.suppress(TypeError, ValueError):
        return value if isinstance(value, bool) else float(value)
    return value
