"""What the tests of both pages of results share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# What all rows of a table have in common: they differ in their method. Of a mean of trainings it is
# the config of the first that counts.
SHARED = (
    *("MODEL.BACKBONE.NAME", "MODEL.BACKBONE.DEPTH", "MODEL.BACKBONE.WITH_IBN"),
    *("SOLVER", "DATASETS.NAMES", "DATASETS.HELD_OUT", "SEED"),
    # Its SIZE is of small queries, which are in no row.
    *(f"DATASETS.DERIVED.{key}" for key in ("KIND", "PERCENT", "SHARE", "SIDES")),
    *("INPUT.SIZE_TEST", "INPUT.KEEP_RATIO", "INPUT.CJ", "INPUT.REA"),
)


def at(config: dict[str, Any], key: str) -> Any:
    """The value, or the node, of a config under a key with dots."""
    for name in key.split("."):
        config = config[name]
    return config


def require_one_recipe(runs: Mapping[str, Any], longer: Iterable[str] = ()) -> None:
    """Rows have one protocol, schedule, backbone, data and seed.

    Args:
        runs: the record of each row's run, by its name.
        longer: names of those whose schedule is another one.
    """
    assert len(runs) >= 2
    first = next(iter(runs.values()))
    for name, run in runs.items():
        protocol = run["protocol"]
        assert protocol["lambda_selection"] == "fixed" and protocol["cameras"] == "constant", name
        assert protocol["gallery"] == "full", name
        assert protocol["squared"] == name.startswith("FPR"), name
        assert protocol.get("detail", 1.0) == first["protocol"].get("detail", 1.0), name
        for key in SHARED:
            if key != "SOLVER" or name not in longer:
                assert at(run["config"], key) == at(first["config"], key), (name, key)
        # What the pages name as parts of the methods.
        occlusion = run["config"]["INPUT"]["OCCLUSION"]["ENABLED"]
        assert occlusion == name.startswith(("FPR", "ours")), name
