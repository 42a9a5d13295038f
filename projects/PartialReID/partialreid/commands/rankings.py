"""Show ranked lists of a test set on a page: right and wrong answers, and why they are there.

    partialreid rankings --config-file demo.yml MODEL.WEIGHTS logs/demo/model_final.pth
    partialreid rankings --model demo.safetensors

One page for each test set goes to OUTPUT_DIR/rankings. A list is that of the whole gallery,
whatever TEST.DSR.PROTOCOL says.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from ..data.catalogue import file_name
from ..dsr_evaluation import DsrEvaluator
from ..engine.checked_evaluation import checked_model, evaluated
from ..engine.configuration import setup_config
from ..engine.saved_model import KINDS
from ..metrics.query_examples import RULE
from ..reporting.answer_page import page_of
from ..reporting.results_table import fused_label
from ..runtime.device_batches import device_of
from ..runtime.errors import user_errors
from ..runtime.files import write_text
from ..search.distance_settings import calibration_for
from ..search.extraction import Extractor
from ..search.ranked_test_set import Wanted, page_queries, ranking_distance
from .output import log_to_stderr, say


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0], epilog=RULE)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--config-file", default="", metavar="FILE")
    model.add_argument("--model", default="", metavar="FILE", help=KINDS)
    parser.add_argument("--queries", type=positive, default=8, help="how many queries are shown")
    parser.add_argument("--length", type=positive, default=8, help="length of the ranked lists")
    parser.add_argument(
        "--explain", type=positive, default=2, metavar="N", help="how many of a list are explained"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config keys and values")
    args = parser.parse_args(argv)
    log_to_stderr()
    with user_errors():
        cfg = setup_config(args)
        network = checked_model(cfg)
        folder = os.path.join(cfg.OUTPUT_DIR, "rankings")
        os.makedirs(folder, exist_ok=True)
        # A checkpoint has no calibration, and one that another config goes with would not hold.
        calibration = calibration_for(cfg) if args.model else None
        extractor = Extractor(network.eval(), cfg, device_of(network))
        wanted = Wanted(args.queries, args.length, args.explain)
        for name in cfg.DATASETS.TESTS:
            items, evaluator = evaluated(cfg, network, name)
            scaled = extractor.of_whole(evaluator.whole)
            pages = page_queries(items, evaluator, scaled, calibration, wanted)
            target = os.path.join(folder, f"{file_name(name)}.html")
            page = page_of(
                f"Ranked lists of {name}",
                about_of(cfg, evaluator, len(pages)),
                ranking_distance(evaluator),
                list(evaluator.distances),
                pages,
                length=args.length,
                notes=notes_of(cfg, evaluator),
            )
            write_text(target, page)
            say(f"ranked lists of {len(pages)} queries: {target}")
    return 0


def about_of(cfg: Any, evaluator: DsrEvaluator, shown: int) -> str:
    """What stands below the heading of a page."""
    kind, report = ranking_distance(evaluator), evaluator.report
    q_count, g_count = evaluator.distances[kind].shape
    rank1 = "; ".join(
        f"{fused_label(report) if name == 'fused' else name}: {report[name]['Rank-1']:.1f} %"
        for name in evaluator.distances
    )
    return (
        f"{os.path.basename(cfg.MODEL.WEIGHTS)}: {shown} of {q_count} queries, {g_count} pictures "
        f"in the gallery. Ranked by the {kind} distance. Rank-1 of all queries by each distance: "
        f"{rank1}."
    )


def notes_of(cfg: Any, evaluator: DsrEvaluator) -> list[str]:
    """What the reader of a page can open: how queries are chosen, what a list leaves out."""
    settings, g_count = cfg.TEST.DSR, evaluator.distances["global"].shape[1]
    notes = [
        RULE,
        "A list is that of the whole gallery. Left out, as in the evaluation, are pictures of the "
        "query's person by the query's own camera. Where a list shows no right answer, the first "
        "one stands behind it.",
    ]
    if not settings.ENABLED:
        return notes
    notes.append(
        "Where it says why?, a click shows what the distance is made of: a right answer beside the "
        "nearest wrong one, a wrong answer beside the nearest right one."
    )
    shortlist = evaluator.report.get("shortlist", settings.SHORTLIST)
    if shortlist != "none" and 0 < settings.TOPK < g_count:
        notes.append(
            f"Of each query {settings.TOPK} pictures are reconstructed; all others have a "
            f"reconstruction distance of {settings.FILL:g}."
        )
    return notes


def positive(text: str) -> int:
    """A number of things, from 1, of a command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number
