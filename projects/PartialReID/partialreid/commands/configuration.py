"""From what a command line says to the config that a command works with."""

from __future__ import annotations

import argparse
from typing import Any

from fastreid.config import get_cfg

from ..config import add_partialreid_config
from ..data.epoch_sampler import drawn_seed
from ..keys.config_files import expand_paths, find_config, merge_file, merge_options
from ..runtime.device import resolve_device


def setup_config(args: argparse.Namespace) -> Any:
    """The frozen config of a command line, its device resolved and its seed drawn if asked.

    Args:
        args: `config_file`, a path or the name of a config of this project, and `opts`, keys and
            values one after another.

    Raises:
        ValueError: an unknown key, a value of the wrong type, or an absent file.
    """
    cfg = get_cfg()
    add_partialreid_config(cfg)
    if args.config_file:
        # FastReID writes the file into the log, under this name.
        args.config_file = find_config(args.config_file)
        merge_file(cfg, args.config_file)
    merge_options(cfg, list(args.opts or []))
    expand_paths(cfg)
    cfg.MODEL.DEVICE = resolve_device(cfg.MODEL.DEVICE)
    if cfg.SEED < 0:
        cfg.SEED = drawn_seed()
    cfg.freeze()
    return cfg
