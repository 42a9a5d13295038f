"""Keep a gallery on disk: make an index of a folder, bring it up to date, check it.

    partialreid index crops/ --into crops.index
    partialreid search half.jpg --gallery crops.index --out answer/
    partialreid index --check crops.index

Called again, the first extracts new and changed pictures alone, and removes what is gone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from ..index.gallery import Index
from ..runtime.errors import USER_ERROR, user_errors
from .model_options import add_model_options, model_of
from .output import log_to_stderr, say


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    # A "~" that a shell leaves as it is, quoted or behind "=".
    home = os.path.expanduser
    parser.add_argument("source", type=home, nargs="?", help="folder, or table with a column path")
    parser.add_argument("--into", type=home, metavar="INDEX", help="folder of the index")
    parser.add_argument(
        "--check", type=home, metavar="INDEX", help="see that nothing in an index is damaged"
    )
    add_model_options(parser)
    args = parser.parse_args(argv)
    given = (args.source is not None, args.into is not None, args.check is not None)
    if given not in ((True, True, False), (False, False, True)):
        parser.error("name a folder and --into INDEX, or --check INDEX")
    log_to_stderr()
    with user_errors():
        if args.check:
            return check(args.check)
        model = model_of(args)
        with model.index(args.source, args.into, skip_unreadable=args.skip_unreadable) as gallery:
            for one in model.skipped:
                say(f"left out: {one.reason}")
            say(f"{args.into}: {len(gallery)} pictures")
    return 0


def check(path: str) -> int:
    """Say what is damaged in an index; the exit status."""
    with Index.open(path) as index:
        problems = index.check()
        for line in problems:
            say(line)
        said = "damaged" if problems else "all whole"
        if not index.summed:
            said += (
                "; of names, stamps and metadata there are no checksums, as an earlier version "
                "wrote it: index its pictures again, and there are"
            )
        say(f"{path}: {len(index)} pictures, {said}")
    return USER_ERROR if problems else 0
