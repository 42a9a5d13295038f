"""From a config file and the KEY VALUE pairs of a command line to a config.

yacs guesses types: the folder `2024` becomes a number and the number `1` no float, and it then
refuses both. Here a key that holds text gets the text as it was written.
"""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from fastreid.config import CfgNode

from ..config import config_value
from ..config_types import WORD_OR_NUMBER
from .yaml_files import check_yaml

# What FastReID's config raises on a key, a value or a file that it does not understand.
CONFIG_ERRORS = (KeyError, ValueError, AssertionError, OSError)
# Keys that name files or folders; `~` in them is the user's home.
PATHS = (
    "MODEL.WEIGHTS",
    "MODEL.BACKBONE.PRETRAIN_PATH",
    "DATASETS.ROOT",
    "DATASETS.MASKS",
    "OUTPUT_DIR",
    "KD.MODEL_CONFIG",
    "KD.MODEL_WEIGHTS",
)


# Keys that hold several texts.
TEXTS = (
    "DATASETS.NAMES",
    "DATASETS.TESTS",
    "INPUT.OCCLUSION.KINDS",
    "KD.MODEL_CONFIG",
    "KD.MODEL_WEIGHTS",
    "MODEL.FREEZE_LAYERS",
    "MODEL.LOSSES.NAME",
)


def configs_folder() -> Path:
    """The folder of the configs that come with the package.

    An installed copy holds them itself; in the repository they lie beside it.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def find_config(name: str) -> str:
    """The file that --config-file means: a path, or the name of a config of this project.

    Raises:
        ValueError: there is no such file; lists the configs that there are.
    """
    path = os.path.expanduser(name)
    if os.path.isfile(path):
        return path
    folder = configs_folder()
    if os.path.basename(path) == path and (folder / path).is_file():
        return str(folder / path)
    known = ", ".join(sorted(file.name for file in folder.glob("*.yml")))
    raise ValueError(f'--config-file "{name}" is not there. The project has {known}.')


def merge_file(cfg: Any, path: str) -> set[str]:
    """Put the values of a YAML file, and of those that it is based on, into a config.

    Returns:
        The dotted keys that these files give, with the default value or with another.

    Raises:
        ValueError: the file is no YAML of keys and values, a key is unknown, or a value is of the
            wrong type; names the file.
    """
    loaded = read_tree(path)
    merge_tree(cfg, loaded, path)
    return set(flat_config(loaded))


def read_tree(path: str) -> dict[str, Any]:
    """The nodes and values of a YAML file, and of those that it is based on.

    Raises:
        ValueError: the file is no YAML of keys and values; names it.
    """
    with _errors_of(path):
        check_yaml(path)
        loaded = CfgNode.load_yaml_with_base(path)
        if not isinstance(loaded, dict):
            raise TypeError(type(loaded))
    return loaded


def merge_tree(cfg: Any, loaded: dict[str, Any], path: str) -> None:
    """Put nodes and values, as YAML gives them, into a config.

    Args:
        cfg: config.
        loaded: what a file holds.
        path: of that file, for the message.

    Raises:
        ValueError: as `merge_file`.
    """
    with _errors_of(path):
        cfg.merge_from_other_cfg(CfgNode(_typed_tree(cfg, loaded)))


@contextlib.contextmanager
def _errors_of(path: str) -> Iterator[None]:
    """Name a file in what is wrong with its keys and values."""
    try:
        yield
    except (TypeError, AttributeError) as error:
        raise ValueError(f'"{path}" is no YAML file of keys and values.') from error
    except (*CONFIG_ERRORS, yaml.YAMLError) as error:
        raise ValueError(f'"{path}": {" ".join(plain(error).split())}') from error


def merge_options(cfg: Any, options: Sequence[str]) -> None:
    """Put KEY VALUE pairs of a command line into a config.

    Raises:
        ValueError: a key without a value, an unknown key, or a value of the wrong type.
    """
    if len(options) % 2:
        raise ValueError(
            "keys and values must come in pairs, and options such as --resume before them, got: "
            f"{' '.join(options)}"
        )
    for key, value in zip(options[::2], options[1::2], strict=True):
        if key.startswith("-"):
            raise ValueError(f"{key} must come before the first KEY VALUE of the command line.")
        try:
            typed = _typed(config_value(cfg, key), value)
            _check_value(key, config_value(cfg, key), typed)
            cfg.merge_from_list([key, typed])
        except (KeyError, TypeError) as error:
            # A TypeError: the key goes on below what is a value.
            said = f"command line, {key} {value}: Non-existent key: {key}"
            raise ValueError(said) from error
        except CONFIG_ERRORS as error:
            raise ValueError(f"command line, {key} {value}: {plain(error)}") from error


def expand_paths(cfg: Any) -> None:
    """Replace `~` by the user's home in every key that names files or folders."""
    for key in PATHS:
        *parents, name = key.split(".")
        node = config_value(cfg, ".".join(parents)) if parents else cfg
        value = node[name]
        if isinstance(value, str):
            node[name] = os.path.expanduser(value)
        else:
            node[name] = type(value)(os.path.expanduser(path) for path in value)


def plain(error: Exception) -> str:
    """The message of an error without Python's wrapping, its type where it says nothing."""
    # The text of a KeyError is quoted; the first argument of an OSError is its number.
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error) or type(error).__name__


def flat_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nodes and values as values alone, by their full keys."""

    def walk(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    return dict(walk(config, ""))


def is_below(key: str, node: str) -> bool:
    """Whether a key is a node of the config, or lies below it."""
    return key == node or key.startswith(f"{node}.")


def _check_value(key: str, old: Any, value: Any) -> None:
    """Refuse what yacs lets pass: nothing in place of a value, and numbers among texts."""
    value = _literal(value) if isinstance(value, str) and not isinstance(old, str) else value
    if value is None and old is not None:
        raise ValueError(f"{key} is empty: give it a value, or leave the key out.")
    if key in TEXTS and isinstance(value, (list, tuple)):
        others = [one for one in value if not isinstance(one, str)]
        if others:
            raise ValueError(f"{key} holds {others[0]!r}, which is no text: write it in quotes.")


def _literal(text: str) -> Any:
    """What a text says in Python, itself where that is nothing."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _typed(old: Any, text: str) -> Any:
    """What yacs should read for a text, given the value that it replaces."""
    value = _literal(text)
    if isinstance(old, str):
        # yacs evaluates text, in quotes or not: it gets a literal, '2024' and not 2024.
        return repr(value if isinstance(value, str) else text)
    if isinstance(old, float) and type(value) is int:
        return float(value)
    return text


def _typed_tree(cfg: Any, loaded: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """What yacs should read for the values of a YAML file, given the node that they go into."""
    typed = {}
    for name, value in loaded.items():
        old = cfg.get(name)
        if name in cfg:
            _check_value(f"{prefix}{name}", old, value)
        if isinstance(value, dict) and isinstance(old, CfgNode):
            value = _typed_tree(old, value, f"{prefix}{name}.")
        elif isinstance(value, str):
            value = _typed(old, value)
        elif isinstance(old, float) and type(value) is int:
            value = float(value)
        elif f"{prefix}{name}" in WORD_OR_NUMBER:
            pass
        elif isinstance(old, str) and isinstance(value, (bool, int, float)):
            # Not its text: YAML reads 007 as 7 and off as False.
            raise ValueError(
                f"{prefix}{name} is text, which YAML takes for {value!r}: write it in quotes."
            )
        typed[name] = value
    return typed
