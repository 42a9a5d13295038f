"""Every command of the documents and docstrings is one that the command line takes.

Each goes through the real parser, and its configs load with their keys; then it is stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from partialreid.commands import (
    calibrate,
    compare,
    dispatch,
    evaluate,
    export,
    index,
    rankings,
    search,
    select_lambda,
    train,
)
from partialreid.data.catalogue import is_data_set
from partialreid.engine.configuration import model_config, setup_config
from partialreid.engine.model_file import is_model_file, is_onnx_file, write_model_file
from partialreid.engine.saved_model import brings_config
from partialreid.search.partial_reid import PartialReID
from partialreid.search.sources import Pictures
from tests import made_onnx
from tests.paths import ROOT
from tests.test_docs import DOCUMENTS, name_of

SOURCES = [*DOCUMENTS, *sorted(Path(dispatch.__file__).parent.glob("*.py"))]
VARIABLES = r"(?:[A-Z_]+=\S+ )*"
PROGRAM = r"partialreid|python3? (?:-m partialreid|\S*train_net\.py|people\.py)"
COMMAND = re.compile(rf"^ *(?:\$ )?{VARIABLES}({PROGRAM})((?: .*)?)$", re.MULTILINE)
UNNAMED = "released.safetensors"  # in place of the model that a command takes by itself
# Sets of a user that the documents take for examples: the script of docs/registering.md registers
# the first and then is `train_net.py`.
OWN_SETS = (
    "People",
    "folder:/data/people",
    "folder:datasets/CUHK03-val",
    "folder:logs/same_camera.csv",
)


def words_of(program: str, rest: str) -> list[str]:
    """The words after `partialreid`; a variable of the shell becomes a number, which fits all."""
    words = shlex.split(re.sub(r"\$\w+", "1", rest), comments=True)
    words = [word for word in words if word != "..."]
    return words if "partialreid" in program else ["train", *words]


def commands() -> Iterator[Any]:
    for source in SOURCES:
        text = re.sub(r"\\\n\s*", "", source.read_text(encoding="utf-8"))
        for program, rest in COMMAND.findall(text):
            words = words_of(program, rest)
            if words != ["train"]:
                yield pytest.param(words, id=f"{name_of(source)}: {' '.join(words)}")


class Stopped(BaseException):
    """Instead of the long work; nothing on the way takes it for an error."""


def stop(*_: object, **__: object) -> Any:
    raise Stopped


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The configs that a command has loaded until it is stopped."""
    configs: list[Any] = []

    def started(args: argparse.Namespace, *_: object) -> int:
        configs.append(setup_config(args))
        raise Stopped

    def checked(cfg: Any, *_: object) -> None:
        configs.append(cfg)

    def opened(path: str, *options: str) -> None:
        configs.append(model_config(path or UNNAMED, options))
        raise Stopped

    monkeypatch.setattr(PartialReID, "load", opened)
    monkeypatch.setattr(search, "pictures_of", lambda _: Pictures([], []))
    monkeypatch.setattr(search, "readable", lambda found, *_: (found, []))
    monkeypatch.setattr(search, "new_folder", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(index, "check", stop)
    monkeypatch.setattr(calibrate, "check_unseen", checked)
    monkeypatch.setattr(calibrate, "checked_model", stop)
    monkeypatch.setattr(train, "start", started)
    monkeypatch.setattr(evaluate, "start", started)
    monkeypatch.setattr(export, "load_model", checked)
    monkeypatch.setattr(export, "write_model_file", stop)
    monkeypatch.setattr(export, "write_onnx_file", stop)
    monkeypatch.setattr(export, "check_onnx_export", lambda: None)
    monkeypatch.setattr(select_lambda, "check_unseen", checked)
    monkeypatch.setattr(select_lambda, "checked_model", stop)
    monkeypatch.setattr(rankings, "checked_model", checked)
    monkeypatch.setattr(rankings.os, "makedirs", stop)
    monkeypatch.setattr(compare, "checked_model", checked)
    monkeypatch.setattr(compare, "check_output_dir", lambda _: None)
    monkeypatch.setattr(compare, "earlier_systems", lambda paths, *_: {p: {} for p in paths})
    monkeypatch.setattr(compare, "write_comparison", stop)
    monkeypatch.setattr(compare, "launch", stop)
    return configs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a command is called in."""
    monkeypatch.chdir(tmp_path)
    Path("projects").symlink_to(ROOT / "projects")  # some configs are given by their paths
    return tmp_path


def write_files(words: list[str]) -> None:
    """The files that `words` name and that the config comes from: those of a training of the demo.

    Their weights are none; the commands are stopped before these are asked for.
    """
    cfg = setup_config(argparse.Namespace(config_file="demo.yml", opts=[]))
    twins = [words[i + 1] for i, word in enumerate(words) if word == "--twin"]
    named = [word for word in words if brings_config(word)]
    read = [UNNAMED, *twins, *named]
    if words[0] == "export":
        averaged = [words[i + 1] for i, word in enumerate(words) if word == "--average"]
        read = [words[1], *averaged]
    for path in map(Path, read):
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_model_file(path.name):
            write_model_file(str(path), {}, cfg, {})
        elif is_onnx_file(path.name):
            made_onnx.write(path, made_onnx.metadata(cfg))
        else:
            torch.save({"model": {}, "config": cfg.dump()}, path)


@pytest.mark.parametrize("words", list(commands()))
def test_the_command_line_takes_it(words: list[str], loaded: list[Any], folder: Path) -> None:
    write_files(words)
    if words in (["--version"], ["--help"]):
        assert dispatch.main(words) == 0
        return
    with pytest.raises(Stopped):
        dispatch.main(words)
    wanted = words.count("--system") if words[0] == "compare" else "--check" not in words
    assert len(loaded) == wanted
    for cfg in loaded:
        for name in (*cfg.DATASETS.NAMES, *cfg.DATASETS.TESTS):
            stem = name.removesuffix("Partial").removesuffix("Occluded").removesuffix("Small")
            assert is_data_set(name) or stem in OWN_SETS, name


def test_all_commands_are_found() -> None:
    found = [param.values[0] for param in commands()]
    assert {words[0] for words in found} >= set(dispatch.COMMANDS)
    assert len(found) >= 40


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--config-file", "no_such.yml"],
        ["evaluate", "--config-file", "demo.yml", "TEST.DSR.NO_SUCH_KEY", "1"],
        ["rankings", "--no-such-option", "1", "--config-file", "demo.yml"],
        ["export", "demo.pth", "demo.safetensors", "TEST.DSR.NO_SUCH_KEY", "1"],
        ["export", "demo.pth", "demo.safetensors", "--config-file", "no_such.yml"],
        ["evaluate", "--model", "demo.safetensors", "MODEL.HEADS.POOL_LAYER", "FastAvgPool"],
        ["evaluate", "--model", "demo.onnx", "MODEL.HEADS.POOL_LAYER", "FastAvgPool"],
        ["export", "demo.pth", "demo.pb", "--format", "onnx"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_is_noticed(words: list[str], loaded: list[Any], folder: Path) -> None:
    write_files(words)
    with pytest.raises((SystemExit, ValueError, KeyError, OSError)):
        dispatch.main(words)


@pytest.mark.parametrize("source", DOCUMENTS, ids=name_of)
def test_benchmarks_that_are_named_are_there(source: Path) -> None:
    for name in re.findall(r"-m (benchmarks\.\w+)", source.read_text(encoding="utf-8")):
        assert importlib.util.find_spec(name), name
