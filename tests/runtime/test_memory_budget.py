"""TEST.DSR.MEMORY_GB: what "auto" takes, what a number allows, and how both are written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from fastreid.config import get_cfg

from partialreid import add_partialreid_config
from partialreid.commands.train import build_parser
from partialreid.engine.configuration import setup_config
from partialreid.keys.ranges import check_ranges
from partialreid.runtime.memory_budget import bytes_for_all_pairs, memory_budget
from tests.standin.gpu import StandInGpu


@pytest.mark.parametrize(
    ("free", "processes", "columns"),
    [(20e9, 1, 1e9), (20e9, 4, 0.25e9), (500e9, 1, 4e9), (500e9, 10, 2.5e9), (1e9, 1, 0.05e9)],
)
def test_auto_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, free: float, processes: int, columns: float
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    budget = memory_budget("auto", "cpu", processes)
    assert budget.columns == pytest.approx(columns)
    # Blocks of one size, and so rounding of one kind, whatever else runs on the machine.
    assert budget.matching == 250e6


def test_auto_on_a_gpu(standin: StandInGpu) -> None:
    """8 GB of its 10 are free. A process has a GPU of its own."""
    for processes in (1, 4):
        budget = memory_budget("auto", standin.name, processes)
        assert (budget.columns, budget.matching) == (3e9, 1e9)


@pytest.mark.parametrize(
    ("gigabytes", "device", "columns", "matching"),
    [
        (1.0, "cpu", 0.75e9, 0.25e9),
        (2, "cpu", 1.75e9, 0.25e9),
        (0.1, "cpu", 0.075e9, 0.025e9),
        (4.0, "pgpu", 3e9, 1e9),
        (40.0, "pgpu", 38e9, 2e9),
    ],
)
def test_a_number(gigabytes: float, device: str, columns: float, matching: float) -> None:
    budget = memory_budget(gigabytes, device.replace("pgpu", "meta"), 3)
    assert budget.columns == pytest.approx(columns)
    assert budget.matching == pytest.approx(matching)


def test_arrays_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie in the memory of the machine: half of what is free, or all that a number says."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=12e9))
    assert bytes_for_all_pairs("auto") == 6e9
    assert bytes_for_all_pairs(2.5) == 2.5e9


WRITTEN = [("auto", "auto"), ("2.5", 2.5), ("2", 2.0), ("0.001", 0.001), ("1e-3", 1e-3)]


@pytest.mark.parametrize(("text", "value"), WRITTEN)
@pytest.mark.parametrize("before", ["auto", "3", "0.5"])
def test_words_and_numbers_in_files_and_on_the_command_line(
    tmp_path: Path, text: str, value: Any, before: str
) -> None:
    """In FastReID's way and by this project's command line; over a value of another type."""
    file = tmp_path / "config.yml"
    file.write_text(f"TEST:\n  DSR:\n    MEMORY_GB: {before}\n")
    over = tmp_path / "over.yml"
    over.write_text(f"_BASE_: config.yml\nTEST:\n  DSR:\n    MEMORY_GB: {text}\n")
    cfg = get_cfg()
    add_partialreid_config(cfg)
    assert cfg.TEST.DSR.MEMORY_GB == "auto"
    cfg.merge_from_file(str(file))
    plain = cfg.clone()
    plain.merge_from_list(["TEST.DSR.KAPPA", 0.1, "TEST.DSR.MEMORY_GB", text])
    cfg.merge_from_file(str(over))
    options = ["--config-file", str(file), "TEST.DSR.MEMORY_GB", text]
    ours = setup_config(build_parser().parse_args(options))
    of_file = setup_config(build_parser().parse_args(["--config-file", str(over)]))
    for found in (cfg, plain, ours, of_file):
        assert value == found.TEST.DSR.MEMORY_GB
        assert type(found.TEST.DSR.MEMORY_GB) is type(value)
        check_ranges(found, eval_only=True)
    assert plain.TEST.DSR.KAPPA == 0.1


def test_other_keys_keep_their_types(make_config) -> None:
    cfg = make_config("TEST.DSR.MEMORY_GB", 2)
    for key, value in (("TEST.DSR.KAPPA", "auto"), ("TEST.DSR.CODES", 2.5)):
        with pytest.raises(ValueError, match="Type mismatch"):
            cfg.merge_from_list([key, value])
    with pytest.raises(AssertionError, match="Non-existent key"):
        cfg.merge_from_list(["TEST.DSR.MEMORY", 2])
    assert cfg.TEST.DSR.MEMORY_GB == 2.0
    assert "MEMORY_GB: 2.0" in cfg.dump()


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "much", "", (1, 2)])
def test_what_is_no_budget_is_one_sentence(make_config, value: Any) -> None:
    cfg = make_config("TEST.DSR.MEMORY_GB", value)
    with pytest.raises(ValueError, match=r'^TEST.DSR.MEMORY_GB is .*; it is "auto" or a positive'):
        check_ranges(cfg, eval_only=True)
