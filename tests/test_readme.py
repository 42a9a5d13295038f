"""The README's commands, with a network and data sets that take seconds."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from partialreid.commands.train import main
from tests import tiny
from tests.paths import ROOT

TRAIN = "projects/PartialReID/train_net.py"


def commands(*documents: str) -> list[list[str]]:
    """All commands of the documents' shell blocks, in order, without comments."""
    found = []
    for document in documents:
        text = (ROOT / document).read_text(encoding="utf-8")
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    found.append(words)
    return found


def trainings() -> list[list[str]]:
    """The arguments of every call of train_net.py in the README."""
    return [words[words.index(TRAIN) + 1 :] for words in commands("README.md") if TRAIN in words]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    tiny.make_data_sets(root)
    return root


@pytest.fixture(scope="module")
def checkpoint(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("checkpoint")
    names = {"DATASETS__NAMES": "('Market1501',)", "DATASETS__TESTS": "('PartialREID',)"}
    tiny.run(data, output, SOLVER__MAX_EPOCH=1, SOLVER__IMS_PER_BATCH=8, **names)
    return output / "model_final.pth"


def test_it_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_the_example_prints_what_it_says() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(example, {})
    assert said.getvalue() == example.rpartition("# ")[2]


def test_there_are_commands_to_test() -> None:
    assert len(trainings()) >= 6


@pytest.mark.parametrize("arguments", trainings(), ids=" ".join)
def test_training_and_evaluation_commands(
    arguments: list[str], data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    config = arguments[arguments.index("--config-file") + 1]
    assert (ROOT / config).is_file()
    changes: dict = dict.fromkeys(("DATASETS__NAMES", "DATASETS__TESTS"))
    if "demo" in config:
        changes |= {"DATASETS__SYNTHETIC__TRAIN_IDS": 4, "DATASETS__SYNTHETIC__TEST_IDS": 3}
    if "--eval-only" in arguments:
        assert arguments[-2] == "MODEL.WEIGHTS"
        arguments = [*arguments[:-1], str(checkpoint)]
    changes |= {"SOLVER__MAX_EPOCH": 1, "SOLVER__IMS_PER_BATCH": 8, "DATALOADER__NUM_INSTANCE": 2}
    if "--resume" in arguments:
        shutil.copy(checkpoint, tmp_path / "model_final.pth")
        (tmp_path / "last_checkpoint").write_text("model_final.pth")
    assert main([*arguments, *tiny.options(data, tmp_path, **changes)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    wanted = ["PartialREID", "PartialiLIDS", "OccludedREID"]
    if "demo" in config:
        wanted = ["SyntheticPartial"]
    if "mobilenetv2" in config:
        wanted = ["Market1501", "Market1501Partial"]
    assert list(results) == [*wanted, "run"]
    if "upstream" in config:
        assert results["PartialREID"]["lambda_selection"] == "oracle"


@pytest.mark.slow
def test_train_net_runs_from_the_root_without_path_hacks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, TRAIN, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0
    assert "--eval-only" in done.stdout and "--allow-partial" in done.stdout


@pytest.mark.parametrize("target", ["demo", "test", "check", "install"])
def test_make_targets_call_what_the_readme_says(target: str) -> None:
    assert shutil.which("make"), "the README's two commands need make"
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wanted = {
        "demo": ["partialreid train --config-file demo.yml", "partialreid rankings"],
        "test": ["ruff check", "ruff format --check", "mypy", "pytest"],
        "check": ["ruff check", "ruff format --check", "mypy", "pytest -n 2", '-m "not slow"'],
        "install": [],
    }
    for text in wanted[target]:
        assert text in done.stdout
