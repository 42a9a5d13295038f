"""What commands on own pictures share: which model, its keys, and files that cannot be read."""

from __future__ import annotations

import argparse

from ..engine.saved_model import KINDS
from ..search.partial_reid import PartialReID


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add --model, --set and --skip-unreadable."""
    parser.add_argument(
        "--model", default="", metavar="FILE", help=f"{KINDS} (default: the released model)"
    )
    parser.add_argument(
        "--skip-unreadable", action="store_true", help="leave out files that cannot be read"
    )
    parser.add_argument(
        "--set",
        nargs=2,
        action="append",
        default=[],
        metavar=("KEY", "VALUE"),
        help="a config key and its value; once for each",
    )


def model_of(args: argparse.Namespace) -> PartialReID:
    """The model that the options name.

    Raises:
        ValueError: as `PartialReID.load`.
    """
    return PartialReID.load(args.model, *(word for pair in args.set for word in pair))
