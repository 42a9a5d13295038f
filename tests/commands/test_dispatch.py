"""`partialreid`: its list of commands comes at once, and each command is found."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import partialreid
from partialreid.commands.dispatch import COMMANDS, main
from tests.paths import ROOT

PROJECT = ROOT / "projects" / "PartialReID"
# The other files of the room.
SHARED = {"__init__", "dispatch", "job", "model_options", "output"}
ABSENT = """
import importlib.metadata, importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "fastreid" else find(name, *rest)
def version(name):
    raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.version = version
from partialreid.commands.dispatch import main
sys.exit(main(["train", "--config-file", "demo.yml"]))
"""


@pytest.mark.parametrize("argv", [[], ["-h"], ["--help"]])
def test_the_list_has_a_line_for_each_command(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for name, (_, does) in COMMANDS.items():
        assert [line.split(maxsplit=1) for line in said.out.splitlines()].count([name, does]) == 1


def test_every_file_is_a_command_or_shared() -> None:
    files = {path.stem for path in (PROJECT / "partialreid" / "commands").glob("*.py")}
    assert files == SHARED | {file for file, _ in COMMANDS.values()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: partialreid {name} [-h]")


def test_a_command_gets_the_rest_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[list[str], str]] = []

    def command(argv: list[str], prog: str) -> int:
        lines.append((argv, prog))
        return 5

    module = importlib.import_module("partialreid.commands.select_lambda")
    monkeypatch.setattr(module, "main", command)
    assert main(["select-lambda", "--config-file", "demo.yml", "SEED", "1"]) == 5
    assert lines == [(["--config-file", "demo.yml", "SEED", "1"], "partialreid select-lambda")]


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"partialreid {partialreid.__version__}\n"


@pytest.mark.parametrize("word", ["trian", "--verbose", "select_lambda"])
def test_an_unknown_command_is_one_sentence(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word, "--config-file", "demo.yml"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f'error: there is no command "{word}": the commands are search, index, train, '
        "evaluate, compare, rankings, export, calibrate, select-lambda.\n"
    )


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """An environment in which a process that imports torch ends with status 9."""
    (tmp_path / "torch.py").write_text("raise SystemExit(9)\n")
    (tmp_path / "other.py").write_text("import partialreid\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PROJECT)])}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["partialreid"], 0),
        (["partialreid", "--help"], 0),
        (["partialreid", "--version"], 0),
        (["partialreid", "trian"], 2),
        # What works needs it, and so does everybody else who imports the package.
        (["partialreid", "train", "--help"], 9),
        (["other", "--help"], 9),
    ],
    ids=str,
)
def test_torch_is_imported_for_work_alone(
    words: list[str], status: int, without_torch: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words], env=without_torch, capture_output=True, text=True
    )
    assert done.returncode == status, done.stderr


@pytest.mark.slow
def test_fastreid_that_is_missing_is_said() -> None:
    done = subprocess.run([sys.executable, "-c", ABSENT], capture_output=True, text=True)
    assert done.returncode == 2
    install = "pip install --no-deps fastreid==1.4.0"
    assert done.stderr == f"error: fastreid is not installed: run `{install}`.\n"
