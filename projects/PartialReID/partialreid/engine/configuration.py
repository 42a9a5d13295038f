"""From what a command line says to the config that a command works with."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from fastreid.config import get_cfg

from ..backbones.timm_statistics import settle_statistics
from ..config import add_partialreid_config
from ..data.epoch_sampler import drawn_seed
from ..keys.config_files import expand_paths, find_config, merge_file, merge_options, merge_tree
from ..keys.released_model import find_model
from ..keys.unread_keys import leaves
from ..runtime.device import resolve_device
from .model_file import is_onnx_file
from .model_header import FREE
from .saved_model import stored_config


def setup_config(args: argparse.Namespace) -> Any:
    """The frozen config of a command line, its device resolved and its seed drawn if asked.

    A network of timm brings the statistics of its images, unless the files or the options give
    some. The config of a saved model keeps its own, with which the model was trained.

    Args:
        args: `config_file`, a path or the name of a config of this project, or, of the commands
            that have it, `model`, a model file; and `opts`, keys and values one after another.

    Raises:
        ValueError: an unknown key, a value of the wrong type, or an absent file.
    """
    if getattr(args, "model", ""):
        if args.config_file:
            raise ValueError(
                "--model brings its own config, so that --config-file does not go with it: to "
                f"evaluate its weights by another config, give MODEL.WEIGHTS {args.model}."
            )
        return model_config(args.model, list(args.opts or []))
    cfg, opts = _default(), list(args.opts or [])
    given = set(opts[::2])
    if args.config_file:
        # FastReID writes the file into the log, under this name.
        args.config_file = find_config(args.config_file)
        given |= merge_file(cfg, args.config_file)
    merge_options(cfg, opts)
    settle_statistics(cfg, given)
    return _finished(cfg)


def tree_config(tree: Mapping[str, Any], path: str, opts: Sequence[str]) -> Any:
    """The config whose nodes and values a file holds, with those of a command line over it.

    Args:
        tree: nodes and values.
        path: of the file, for the message.
        opts: keys and values one after another.

    Raises:
        ValueError: as `setup_config`.
    """
    cfg = _default()
    merge_tree(cfg, dict(tree), path)
    merge_options(cfg, opts)
    return _finished(cfg)


def model_config(path: str, opts: Sequence[str]) -> Any:
    """The config of a model, whose weights it names, with keys and values over it.

    Args:
        path: as `find_model` takes it; "" means the released model. Files of ONNX and checkpoints
            are models, too; see `saved_model`.
        opts: keys and values one after another.

    Raises:
        ValueError: as `setup_config`; there is no such model, or none that says its config; or a
            key would make it another network.
    """
    path = find_model(path)
    tree, source = stored_config(path)
    own, cfg = tree_config(tree, source, []), tree_config(tree, source, opts)
    before = dict(leaves(own))
    for key, value in leaves(cfg):
        if key.startswith("MODEL.") and key not in FREE and value != before[key]:
            other = "give its weights to another network by --config-file FILE and MODEL.WEIGHTS"
            other = "export another file" if is_onnx_file(path) else f"{other} {path}"
            raise ValueError(
                f'{key} is {before[key]!r} in "{source}" and cannot be {value!r}: '
                f"leave it out or {other}."
            )
    cfg.defrost()
    cfg.MODEL.WEIGHTS = path
    cfg.MODEL.DEVICE = _device(cfg)
    cfg.freeze()
    return cfg


def _default() -> Any:
    cfg = get_cfg()
    add_partialreid_config(cfg)
    return cfg


def _finished(cfg: Any) -> Any:
    expand_paths(cfg)
    cfg.MODEL.DEVICE = _device(cfg)
    if cfg.SEED < 0:
        cfg.SEED = drawn_seed()
    cfg.freeze()
    return cfg


def _device(cfg: Any) -> str:
    """The device of a config; that of a file of ONNX is the CPU, on which ONNX Runtime runs it."""
    return "cpu" if is_onnx_file(cfg.MODEL.WEIGHTS) else resolve_device(cfg.MODEL.DEVICE)
