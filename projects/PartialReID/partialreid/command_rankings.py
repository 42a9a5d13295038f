"""Draw ranked lists of a test set: query, nearest gallery images, right and wrong marked.

    python3 projects/PartialReID/tools/draw_rankings.py --config-file \
        projects/PartialReID/configs/demo.yml MODEL.WEIGHTS logs/demo/model_final.pth

The queries are evenly spaced over the test set, not selected. One picture for each test set goes to
OUTPUT_DIR/rankings.
"""

from __future__ import annotations

import argparse
import os

import numpy as np

from .command import log_to_stderr, setup_config, user_errors
from .files import whole_file
from .inference import build_evaluator, evaluate_model, load_model
from .ranking_pictures import draw_rows, ranked_row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", required=True, metavar="FILE")
    parser.add_argument("--queries", type=int, default=4, help="how many queries are drawn")
    parser.add_argument("--length", type=int, default=8, help="length of the ranked lists")
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config keys and values")
    args = parser.parse_args()
    log_to_stderr()
    with user_errors():
        cfg = setup_config(args)
        model = load_model(cfg, cfg.MODEL.WEIGHTS)
        folder = os.path.join(cfg.OUTPUT_DIR, "rankings")
        os.makedirs(folder, exist_ok=True)
        for name in cfg.DATASETS.TESTS:
            loader, evaluator = build_evaluator(cfg, name, keep_distances=True)
            evaluate_model(model, loader, evaluator)
            items, q_count = loader.dataset.img_items, len(evaluator.distances["global"])
            gallery = items[q_count:]
            chosen = np.linspace(0, q_count - 1, min(args.queries, q_count)).round().astype(int)
            rows = [
                ranked_row(label, items[q], gallery, distances[q].numpy(), args.length)
                for q in chosen
                for label, distances in evaluator.distances.items()
            ]
            target = os.path.join(folder, f"{name}.png")
            with whole_file(target) as file:
                draw_rows(rows).save(file, format="PNG")
            print(f"ranked lists of {len(chosen)} queries: {target}")
    return 0
