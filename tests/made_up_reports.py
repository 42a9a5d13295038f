"""Results of evaluations that never were, for tests of tables."""

from __future__ import annotations

import json
from pathlib import Path


def report(rank1: dict[str, float]) -> dict:
    """What results.json holds of a test set, with these Rank-1 of its distances."""
    metrics = {
        name: {"Rank-1": value, "Rank-5": 80.0, "Rank-10": 90.0, "mAP": value / 2, "mINP": 5.0}
        for name, value in rank1.items()
    }
    return {
        **metrics,
        "lambda": 0.8,
        "lambda_selection": "fixed",
        "seconds_per_query": {"matching": 0.012},
        "cmc": {name: [0.4, 0.5] for name in rank1},
        "selected": "global",
    }


def saved(folder: Path, **systems: dict) -> str:
    """Write a compare.json of these systems into a new folder; its path."""
    folder.mkdir()
    (folder / "compare.json").write_text(json.dumps(systems))
    return str(folder / "compare.json")
