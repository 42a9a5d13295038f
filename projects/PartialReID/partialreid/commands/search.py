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

from ..index.database import is_index
from ..runtime.errors import user_errors
from ..runtime.folders import new_folder
from ..search.answers import Answer
from ..search.partial_reid import PartialReID
from ..search.saved_answers import PAGE, require_own
from ..search.searchable import AnyGallery
from ..search.sources import Pictures, pictures_of, readable
from .model_options import add_model_options, model_of
from .output import log_to_stderr, say
from .rankings import positive


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument("queries", nargs="+", metavar="QUERY", help="picture, folder or table")
    # A "~" that a shell leaves as it is, quoted or behind "=".
    home = os.path.expanduser
    parser.add_argument("--gallery", type=home, required=True, help="folder, table or index")
    parser.add_argument(
        "--out", type=home, required=True, metavar="FOLDER", help="where the answers go"
    )
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
    with user_errors(), new_folder(args.out):
        require_own(args.out)
        asked = Pictures([], [])
        for source in args.queries:
            found = pictures_of(source)
            asked.pictures.extend(found.pictures)
            asked.metadata.extend(found.metadata)
        # Before the model and the gallery, which take their time.
        queries, skipped = readable(asked, args.skip_unreadable, "queries")
        model = model_of(args)
        gallery = gallery_of(model, args)
        skipped += model.skipped
        answers = model.search(queries.pictures, gallery, args.k)
        answers.save(args.out, args.explain)
        for answer in answers:
            say_of(answer)
        for one in skipped:
            say(f"left out: {one.reason}")
        say(f"answers: {os.path.join(args.out, PAGE)}")
    return 0


def say_of(answer: Answer) -> None:
    """The first match of a query with its verdict, and whether the gallery holds the query."""
    first = answer[0]
    sure = ""
    if first.probability is not None and answer.in_gallery is not None:
        # Both, as the word speaks of the gallery where that hardly shows the person.
        sure = f", {first.verdict} ({first.probability:.0%} right"
        sure += f", {answer.in_gallery:.0%} in the gallery)"
    say(f"{answer.query}: {first.path} at {first.distance:.4f}{sure}")
    for match in answer:
        if match.same_picture:
            say(f"{answer.query}: is in the gallery itself, as {match.path}, and stays in the list")


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
