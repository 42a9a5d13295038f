"""A config that notes which of its keys are read, so that a user can be told which are not."""

from __future__ import annotations

from typing import Any

from fastreid.config import CfgNode


class Reads(set[str]):
    """Dotted keys. A copy of a config goes on noting in the one set."""

    def __deepcopy__(self, _: Any) -> Reads:
        return self


class RecordedNode(CfgNode):
    """A node that adds each value that is looked up, by name or by index, to `reads`.

    Going over all values (dump, update, printing) is no look-up: it serves a log or a copy.
    """

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if "reads" in self.__dict__ and not isinstance(value, CfgNode):
            self.noted(self.__dict__["prefix"] + name)
        return value

    def noted(self, key: str) -> None:
        """Note that a key was read."""
        self.__dict__["reads"].add(key)


def recorded(cfg: Any, node: type[RecordedNode] = RecordedNode) -> tuple[Any, Reads]:
    """A copy of a config that notes what is read of it, and where it does so.

    Args:
        cfg: config.
        node: a subclass may note more.

    Returns:
        The copy, not frozen, and the dotted keys, none yet.
    """
    reads = Reads()

    def copy(part: Any, prefix: str) -> RecordedNode:
        made = node()
        for name, value in part.items():
            made[name] = copy(value, f"{prefix}{name}.") if isinstance(value, CfgNode) else value
        made.__dict__.update(reads=reads, prefix=prefix)
        return made

    return copy(cfg, ""), reads
