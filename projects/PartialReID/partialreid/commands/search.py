"""Search pictures for the person of a query, however little of them it shows.

    partialreid search half_a_person.jpg --gallery crops/ --out answer/

The gallery is a folder, a table (.csv with a column `path`; its other columns are shown) or an
index that `partialreid index` has made. OUT/index.html shows the answers, OUT/answers.json holds
them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from ..images.pictures import Picture
from ..index.database import is_index
from ..runtime.errors import user_errors
from ..search.answers import save_every
from ..search.partial_reid import AnyGallery, PartialReID
from ..search.saved_answers import PAGE
from ..search.sources import pictures_of
from .model_options import add_model_options, model_of
from .output import log_to_stderr, say
from .rankings import positive


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument("queries", nargs="+", metavar="QUERY", help="picture, folder or table")
    parser.add_argument("--gallery", required=True, help="folder, table or index")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where the answers go")
    parser.add_argument(
        "--where",
        nargs="+",
        default=[],
        metavar="CONDITION",
        help="of an index: which pictures may be found, such as camera=3 time>=2024-05-01",
    )
    parser.add_argument("-k", type=positive, default=10, help="length of a list")
    parser.add_argument(
        "--explain", type=positive, default=3, metavar="N", help="how many of a list are explained"
    )
    add_model_options(parser)
    args = parser.parse_args(argv)
    log_to_stderr()
    with user_errors():
        if os.path.exists(args.out) and not os.path.isdir(args.out):
            raise ValueError(f'--out "{args.out}" is a file: name a folder for the answers.')
        queries: list[Picture] = []
        for source in args.queries:
            queries += pictures_of(source).pictures
        model = model_of(args)
        gallery = gallery_of(model, args)
        answers = model.search(queries, gallery, args.k)
        save_every(args.out, answers, args.explain)
        for answer in answers:
            first = answer[0]
            sure = "" if first.probability is None else f", {first.verdict} {first.probability:.0%}"
            say(f"{answer.query}: {first.path} at {first.distance:.4f}{sure}")
        for one in model.skipped:
            say(f"left out: {one.reason}")
        say(f"answers: {os.path.join(args.out, PAGE)}")
    return 0


def gallery_of(model: PartialReID, args: argparse.Namespace) -> AnyGallery:
    """The gallery that a command line names.

    Raises:
        OSError, ValueError: as `PartialReID.open` and `PartialReID.gallery`; conditions are given
            for what is no index.
    """
    if is_index(args.gallery):
        index = model.open(args.gallery)
        return index.where(args.where) if args.where else index
    if args.where:
        raise ValueError(
            f'--where selects from an index, and "{args.gallery}" is none: make one by '
            "`partialreid index`."
        )
    return model.gallery(args.gallery, skip_unreadable=args.skip_unreadable)
