"""What a run says of itself in results.json."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from typing import Any

import pytest

from partialreid.reporting import run_record as module
from partialreid.reporting.run_record import run_record


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
