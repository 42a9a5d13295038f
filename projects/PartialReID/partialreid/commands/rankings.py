"""Draw ranked lists of a test set: query, nearest gallery images, right and wrong marked.

    partialreid rankings --config-file demo.yml MODEL.WEIGHTS logs/demo/model_final.pth

The queries are evenly spaced over the test set, not selected. One picture for each test set goes to
OUTPUT_DIR/rankings. A list is that of the whole gallery, whatever TEST.DSR.PROTOCOL says.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

import numpy as np

from ..data.catalogue import file_name
from ..engine.checked_evaluation import checked_model, evaluated
from ..engine.configuration import setup_config
from ..reporting.ranking_pictures import draw_rows, ranked_row
from ..runtime.errors import user_errors
from ..runtime.files import whole_file
from .output import log_to_stderr, say


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", required=True, metavar="FILE")
    parser.add_argument("--queries", type=positive, default=4, help="how many queries are drawn")
    parser.add_argument("--length", type=positive, default=8, help="length of the ranked lists")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config keys and values")
    args = parser.parse_args(argv)
    log_to_stderr()
    with user_errors():
        cfg = setup_config(args)
        model = checked_model(cfg)
        folder = os.path.join(cfg.OUTPUT_DIR, "rankings")
        os.makedirs(folder, exist_ok=True)
        for name in cfg.DATASETS.TESTS:
            items, evaluator = evaluated(cfg, model, name)
            q_count = len(evaluator.distances["global"])
            gallery = items[q_count:]
            chosen = np.linspace(0, q_count - 1, min(args.queries, q_count)).round().astype(int)
            rows = [
                ranked_row(label, items[q], gallery, distances[q].numpy(), args.length)
                for q in chosen
                for label, distances in evaluator.distances.items()
            ]
            target = os.path.join(folder, f"{file_name(name)}.png")
            with whole_file(target) as file:
                draw_rows(rows).save(file, format="PNG")
            say(f"ranked lists of {len(chosen)} queries: {target}")
    return 0


def positive(text: str) -> int:
    """A number of things, from 1, of a command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number
