"""What a reader of YAML lets pass: a key that is written twice, a file that is based on itself.

Of two nodes of one name YAML keeps the last, and what the first says is lost without a word.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import yaml
from fastreid.config.config import BASE_KEY


def check_yaml(path: str, below: tuple[str, ...] = ()) -> None:
    """Check a config file, and those that it is based on, before they are read.

    Args:
        path: of the file.
        below: the files that are based on it, as they were named.

    Raises:
        ValueError: a key is written twice in one node, or the file is based on itself; names keys
            and lines.
        OSError: a file cannot be read.
        yaml.YAMLError: it is no YAML.
    """
    if os.path.realpath(path) in map(os.path.realpath, below):
        names = ", ".join(map(os.path.basename, (*below, path)))
        raise ValueError(f"{BASE_KEY} goes round in a circle: {names}")
    with open(path, encoding="utf-8") as file:
        node = yaml.compose(file, Loader=yaml.SafeLoader)
    base = None
    for prefix, key, value, earlier in _keys(node):
        if earlier is not None:
            raise ValueError(
                f"{prefix}{key.value} is written twice, in lines {earlier + 1} and "
                f'{key.start_mark.line + 1} of "{path}": put all of it into one place'
            )
        if prefix + key.value == BASE_KEY:
            base = os.path.expanduser(str(value.value))
    if base and not base.startswith(("http://", "https://")):
        check_yaml(os.path.join(os.path.dirname(path), base), (*below, path))


def _keys(
    node: yaml.Node | None, prefix: str = ""
) -> Iterator[tuple[str, yaml.ScalarNode, yaml.Node, int | None]]:
    """The keys of a node and of those below it, with the line of the first of the same name."""
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            yield prefix, key, value, lines.get(key.value)
            lines[key.value] = key.start_mark.line
            yield from _keys(value, f"{prefix}{key.value}.")
