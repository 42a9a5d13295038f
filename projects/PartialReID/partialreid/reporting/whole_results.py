"""Does a file hold of a system all that a table and a picture of it are made of?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..metrics.report import DISTANCES, METRICS


def flaw_of_results(part: Any) -> str:
    """What is wrong with what compare.json holds of a system on a test set; "" where nothing is.

    Args:
        part: what was read, of any kind.
    """
    if not isinstance(part, dict):
        return "is no record of results"
    held = [distance for distance in DISTANCES if distance in part or distance == "global"]
    selected = part.get("selected")
    checks = {
        **{distance: _are_numbers(part.get(distance), METRICS) for distance in held},
        "selected": selected in held,
        "cmc": _are_curves(part.get("cmc"), {"global", str(selected)}),
        "seconds_per_query": _are_numbers(part.get("seconds_per_query"), ["matching"]),
        **_of_lambda(part),
        "oracle": "oracle" not in part or _is_oracle(part["oracle"]),
        "single_shot": _are_spreads(part.get("single_shot", {}), "single_shot" in part, held),
        "intervals": _are_spreads(part.get("intervals", {}), False, held),
    }
    wrong = next((key for key, right in checks.items() if not right), "")
    return f'has no "{wrong}" as an evaluation writes it' if wrong else ""


def flaw_of_run(run: Any) -> str:
    """The same of the record of its run."""
    if not isinstance(run, dict) or not isinstance(run.get("protocol", {}), dict):
        return "is no record of a run"
    protocol = run.get("protocol", {})
    nodes = all(isinstance(protocol.get(key, {}), dict) for key in ("derived", "synthetic"))
    counts = ("bootstrap_rounds", "protocol_seed")
    if nodes and all(isinstance(protocol.get(key, 0), int) for key in counts):
        return ""
    return 'has no "protocol" as an evaluation writes it'


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _are_numbers(values: Any, names: Iterable[str]) -> bool:
    return isinstance(values, dict) and all(_is_number(values.get(name)) for name in names)


def _is_list(values: Any, least: int) -> bool:
    return isinstance(values, list) and len(values) >= least and all(map(_is_number, values))


def _are_curves(curves: Any, needed: set[str]) -> bool:
    return (
        isinstance(curves, dict)
        and needed <= set(curves)
        and all(_is_list(curve, 1) for curve in curves.values())
        and len({len(curve) for curve in curves.values()}) == 1
    )


def _of_lambda(part: dict[str, Any]) -> dict[str, bool]:
    """Of the label of the fused distance, if there is one."""
    if "fused" not in part:
        return {}
    selection = part.get("lambda_selection")
    found = {"lambda_selection": isinstance(selection, str)}
    if selection != "crossfit":
        return {**found, "lambda": _is_number(part.get("lambda"))}
    lambdas = part.get("lambdas")
    return {**found, "lambdas": _is_list(lambdas, 2) and len(lambdas or []) == 2}


def _is_oracle(oracle: Any) -> bool:
    return _are_numbers(oracle, ["lambda"]) and all(map(_is_number, oracle.values()))


def _are_spreads(found: Any, every: bool, distances: Iterable[str]) -> bool:
    """Whether there are two numbers of each metric, or of those that there are of the distances."""
    if not isinstance(found, dict):
        return False
    for distance in distances:
        metrics = found.get(distance, {})
        if not isinstance(metrics, dict):
            return False
        wanted = METRICS if every else [name for name in METRICS if name in metrics]
        if not all(_is_list(metrics.get(name), 2) for name in wanted):
            return False
    return True
