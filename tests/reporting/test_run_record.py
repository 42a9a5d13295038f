"""What a run says of itself in results.json."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from typing import Any

import pytest

from partialreid.config import CHOICES, config_value
from partialreid.data.keep_ratio import build_test_transform, keep_ratio_resize
from partialreid.keys.recorded_config import recorded
from partialreid.keys.unread_keys import leaves
from partialreid.reporting import run_record as module
from partialreid.reporting.run_record import protocol, run_record

# What of TEST decides no number of an evaluation: when there is one, what changes the network
# before it, and what moves a number by rounding alone.
NO_NUMBER = (*("TEST.EVAL_PERIOD", "TEST.PRECISE_BN", "TEST.IMS_PER_BATCH", "TEST.DSR.MEMORY_GB"),)


def test_record_can_be_made_again(make_config) -> None:
    cfg = make_config("SEED", 77, "TEST.DSR.KAPPA", 0.25, "TEST.DSR.LAMBDA", 0.125)
    cfg.merge_from_list(["TEST.DSR.TOPK", 13, "TEST.DSR.CAMERAS", "filename"])
    cfg.merge_from_list(["TEST.DSR.LAMBDA_SELECTION", "oracle", "DATASETS.DERIVED_SEED", 5])
    cfg.freeze()
    record = json.loads(json.dumps(run_record(cfg, world_size=3)))
    assert record["seed"] == 77
    assert record["processes"] == 3
    assert record["device"] == "cpu"
    wanted = {"kappa": 0.25, "lambda": 0.125, "topk": 13, "cameras": "filename"}
    wanted |= {"lambda_selection": "oracle", "derived_seed": 5, "fill": cfg.TEST.DSR.FILL}
    assert wanted.items() <= record["protocol"].items()
    assert record["config"]["TEST"]["DSR"]["KAPPA"] == 0.25
    for package in ("fastreid", "torch", "numpy"):
        assert record["versions"][package] == importlib.metadata.version(package)
    assert "python" in record["versions"]


def test_config_of_the_record_makes_the_same_config(make_config) -> None:
    cfg = make_config("SEED", 77, "DATASETS.TESTS", ("PartialREID", "PartialiLIDS"))
    again = make_config()
    again.merge_from_other_cfg(type(cfg)(run_record(cfg, 1)["config"]))
    assert again.dump() == cfg.dump()


def test_record_without_git_or_packages(make_config, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    monkeypatch.setattr(module, "PACKAGES", ("no-such-package",))
    record = run_record(make_config(), 1)
    assert record["commit"] is None
    assert record["versions"]["no-such-package"] is None


def deciding_keys(cfg: Any) -> list[str]:
    """The keys of TEST, and what is read of a config to make test images."""
    of_images: set[str] = set()
    for options in (["INPUT.CROP.ENABLED", True], ["INPUT.KEEP_RATIO", "width"]):
        whole, reads = recorded(cfg)
        whole.merge_from_list(options)
        reads.clear()
        build_test_transform(whole, keep_ratio_resize(whole))
        of_images |= {key for key in reads if key.startswith("INPUT.")}
    of_test = {key for key, _ in leaves(cfg) if key.startswith("TEST.")}
    return sorted(of_images | {key for key in of_test if not key.startswith(NO_NUMBER)})


def another(key: str, value: Any) -> Any:
    """Another value of a key."""
    if key in CHOICES:
        return next(choice for choice in CHOICES[key] if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value} of another kind"
    return [number + 1 for number in value] if isinstance(value, list) else value + 1


def test_every_key_that_decides_numbers_is_in_the_protocol(make_config) -> None:
    keys = deciding_keys(make_config())
    assert {"INPUT.SIZE_TEST", "INPUT.KEEP_RATIO_LONGEST", "TEST.METRIC"} <= set(keys)
    before = json.dumps(protocol(make_config()))
    for key in [*keys, "DATASETS.DERIVED_SEED", "DATASETS.HELD_OUT", "DATASETS.SYNTHETIC.TEST_IDS"]:
        cfg = make_config()
        cfg.merge_from_list([key, another(key, config_value(cfg, key))])
        assert json.dumps(protocol(cfg)) != before, key
    for key in ("TEST.EVAL_PERIOD", "TEST.IMS_PER_BATCH", "SOLVER.MAX_EPOCH"):
        cfg = make_config()
        cfg.merge_from_list([key, config_value(cfg, key) + 1])
        assert json.dumps(protocol(cfg)) == before, key
