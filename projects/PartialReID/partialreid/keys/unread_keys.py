"""Keys that a config sets and that nobody reads: refused where nothing ever would, else named.

Three kinds of keys are not read: those of FastReID's config that no code of it uses, those of a
part that is switched off or not chosen (the momentum of Adam), and those that the chosen network
does not have (the instance normalisation of a MobileNetV2). The first kind is an error. The others
may well come from a file that other configs are based on, so that the log names them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from fastreid.config import CfgNode, get_cfg

from ..config import add_partialreid_config
from .config_files import is_below
from .network_check import check_network
from .reading_rules import IN_BOTH, IN_TRAINING, NEVER

logger = logging.getLogger(__name__)
# The parts of a network. Which of their keys are read depends on what is built.
OF_NETWORK = ("MODEL.BACKBONE.", "MODEL.HEADS.", "MODEL.QUEUE_SIZE")
# These belong to the building of a network, and are not always looked at.
ON_THE_WAY = ("MODEL.BACKBONE.PRETRAIN", "MODEL.BACKBONE.PRETRAIN_PATH", "MODEL.HEADS.NUM_CLASSES")


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All keys of a config with their values."""
    for name, value in node.items():
        if isinstance(value, CfgNode):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def changed_keys(cfg: Any) -> dict[str, Any]:
    """The keys with another value than their default, and that value."""
    default = get_cfg()
    add_partialreid_config(default)
    before = dict(leaves(default))
    return {key: value for key, value in leaves(cfg) if not _same(value, before.get(key))}


def check_unread(cfg: Any) -> None:
    """Refuse keys that no code reads.

    Raises:
        ValueError: such a key has another value than its default; says what to use instead.
    """
    for key in changed_keys(cfg):
        for node, instead in NEVER.items():
            if is_below(key, node):
                raise ValueError(f"{key} is set, but nothing reads it; {instead}.")


def idle_keys(cfg: Any, eval_only: bool) -> dict[str, str]:
    """The changed keys that a run with this config does not read, and why.

    Args:
        cfg: config, one that `check_config` accepts.
        eval_only: whether there will be no training; what only a training reads is no news then.
    """
    network = check_network(cfg, eval_only)
    found: dict[str, str] = {}
    for key in changed_keys(cfg):
        for node, reason in (*IN_BOTH, *(() if eval_only else IN_TRAINING)):
            if is_below(key, node) and (why := reason(cfg)):
                found.setdefault(key, why)
        if (switch := _switch(cfg, key)) and (key.startswith("TEST.") or not eval_only):
            found.setdefault(key, f"{switch} is False")
        if key.startswith(OF_NETWORK) and key not in network and key not in ON_THE_WAY:
            found.setdefault(key, "the network does not read it")
    return found


def warn_of_idle_keys(cfg: Any, eval_only: bool) -> None:
    """Log the changed keys that are not read, if there are any."""
    found = idle_keys(cfg, eval_only)
    if found:
        said = ", ".join(f"{key} ({why})" for key, why in found.items())
        logger.warning(f"Set, but not read by this run: {said}")


def _switch(cfg: Any, key: str) -> str:
    """The key ENABLED beside a key, where it is off. That of TEST.DSR has rules of its own."""
    *parents, name = key.split(".")
    node = cfg
    for part in parents:
        node = node[part]
    off = name != "ENABLED" and node.get("ENABLED") is False and parents != ["TEST", "DSR"]
    return ".".join([*parents, "ENABLED"]) if off else ""


def _same(value: Any, other: Any) -> bool:
    # A list of YAML and the tuple of a default mean the same.
    if isinstance(value, (list, tuple)) and isinstance(other, (list, tuple)):
        return list(value) == list(other)
    return bool(value == other)
