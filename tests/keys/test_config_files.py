"""Config files by name, text that stays text, and the user's home in paths."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from partialreid.commands import compare
from partialreid.config import config_value
from partialreid.engine.configuration import setup_config
from partialreid.keys.config_files import configs_folder, find_config, merge_file, merge_options
from tests.paths import ROOT


def arguments(config_file: str = "", *opts: str) -> argparse.Namespace:
    return argparse.Namespace(config_file=config_file, opts=list(opts))


def test_a_bare_name_is_a_config_of_the_project(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config("partial_market.yml") == str(configs_folder() / "partial_market.yml")
    args = arguments("partial_market.yml", "MODEL.DEVICE", "cpu")
    cfg = setup_config(args)
    assert cfg.DATASETS.TESTS == ("PartialREID", "PartialiLIDS", "OccludedREID")
    # FastReID opens the file again, for its log.
    assert Path(args.config_file).is_file()


def test_a_file_that_is_here_comes_before_a_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.yml").write_text("SEED: 5\n")
    assert setup_config(arguments("demo.yml", "MODEL.DEVICE", "cpu")).SEED == 5


@pytest.mark.parametrize("name", ["partial_markt.yml", "elsewhere/partial_market.yml"])
def test_an_unknown_name_lists_those_that_exist(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        find_config(name)
    assert f'"{name}"' in str(caught.value)
    for file in configs_folder().glob("*.yml"):
        assert file.name in str(caught.value)


def test_every_config_of_the_project_is_found_and_read() -> None:
    names = sorted(file.name for file in configs_folder().glob("*.yml"))
    assert {"Base-Partial.yml", "demo.yml", "market_mobilenetv2.yml"} <= set(names)
    for name in names:
        setup_config(arguments(name, "MODEL.DEVICE", "cpu"))


def paths_in(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [path for value in node.values() for path in paths_in(value)]
    if isinstance(node, list):
        return [path for value in node for path in paths_in(value)]
    return [node] if isinstance(node, str) else []


def test_no_config_needs_a_file_that_a_stranger_lacks() -> None:
    """No absolute path, none above the working folder, and no weights but those to download."""
    for file in configs_folder().glob("*.yml"):
        for text in paths_in(yaml.safe_load(file.read_text())):
            assert not text.startswith(("/", "~", "..")), f"{file.name}: {text}"
            assert ".." not in Path(text).parts, f"{file.name}: {text}"
        cfg = setup_config(arguments(file.name, "MODEL.DEVICE", "cpu"))
        assert (cfg.MODEL.WEIGHTS, cfg.MODEL.BACKBONE.PRETRAIN_PATH) == ("", ""), file.name
        assert (cfg.DATASETS.ROOT, cfg.DATASETS.MASKS) == ("", ""), file.name


def test_comments_of_configs_name_files_of_the_repository() -> None:
    named = 0
    for file in configs_folder().glob("*.yml"):
        comments = " ".join(re.findall(r"#(.*)", file.read_text()))
        for name in re.findall(r"[\w.~/-]+\.(?:yml|md|py|pth|json)\b|[\w.~-]*/[\w./~-]+", comments):
            assert (ROOT / name).is_file() or (file.parent / name).is_file(), f"{file.name}: {name}"
            named += 1
    assert named > 3


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("OUTPUT_DIR", "2024", "2024"),
        ("OUTPUT_DIR", "007", "007"),
        ("OUTPUT_DIR", "None", "None"),
        ("OUTPUT_DIR", "logs/a", "logs/a"),
        ("OUTPUT_DIR", r"C:\new\table", r"C:\new\table"),
        ("OUTPUT_DIR", "it's", "it's"),
        ("MODEL.WEIGHTS", "123", "123"),
        ("MODEL.WEIGHTS", "1e3", "1e3"),
        ("MODEL.WEIGHTS", "'quoted.pth'", "quoted.pth"),
        ("MODEL.BACKBONE.DEPTH", "50", "50"),
        ("TEST.DSR.KAPPA", "1", 1.0),
        ("TEST.DSR.KAPPA", "1e-2", 0.01),
        ("SOLVER.BASE_LR", "-1", -1.0),
        ("SEED", "7", 7),
        ("DATASETS.TESTS", "('A', 'B')", ("A", "B")),
        ("TEST.FLIP.ENABLED", "True", True),
    ],
)
def test_a_value_of_the_command_line(make_config, key: str, text: str, value: Any) -> None:
    cfg = make_config()
    merge_options(cfg, [key, text])
    found = config_value(cfg, key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "text"),
    [("SEED", "1.5"), ("SEED", "one"), ("TEST.DSR.SQUARED", "1"), ("TEST.DSR.KAPPA", "True"),
     ("DATASETS.TESTS", "Market1501")],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_name(make_config, key: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"command line, {key} {text}: "):
        merge_options(make_config(), [key, text])


@pytest.mark.parametrize("key", ["TEST.DSR.KAPA", "KAPPA", "TEST.DSR.KAPPA.X", "OUTPUT_DIR.X"])
def test_an_unknown_key(make_config, key: str) -> None:
    with pytest.raises(ValueError, match=f"Non-existent key: {key}"):
        merge_options(make_config(), [key, "1"])


@pytest.fixture
def merged(make_config, tmp_path: Path) -> Callable[[str], Any]:
    def make(text: str) -> Any:
        (tmp_path / "own.yml").write_text(text)
        cfg = make_config()
        merge_file(cfg, str(tmp_path / "own.yml"))
        return cfg

    return make


def test_whole_numbers_of_a_file_are_floats_where_floats_are_meant(merged) -> None:
    cfg = merged("TEST:\n  DSR:\n    FILL: 2\n    TOPK: 3\n")
    assert (cfg.TEST.DSR.FILL, cfg.TEST.DSR.TOPK) == (2.0, 3)
    assert type(cfg.TEST.DSR.FILL) is float


@pytest.mark.parametrize("text", ["'2024'", '"007"', "1e3", "logs", "'None'"])
def test_text_of_a_file_stays_text(merged, text: str) -> None:
    assert text.strip("'\"") == merged(f"OUTPUT_DIR: {text}\n").OUTPUT_DIR


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("OUTPUT_DIR: 2024\n", "OUTPUT_DIR is text, which YAML takes for 2024"),
        ("OUTPUT_DIR: 007\n", "OUTPUT_DIR is text, which YAML takes for 7"),
        ("INPUT:\n  KEEP_RATIO: off\n", "INPUT.KEEP_RATIO is text, which YAML takes for False"),
    ],
)
def test_text_that_yaml_takes_for_something_else(merged, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"{said}: write it in quotes") as caught:
        merged(text)
    assert "own.yml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("TEST:\n  DSR:\n    KAPPA: 0.5\nSEED: 1\nTEST:\n  EVAL_PERIOD: 5\n",
      r"TEST is written twice, in lines 1 and 5 of .*own\.yml"),
     ("TEST:\n  DSR:\n    KAPPA: 0.5\n    LAMBDA: 0.1\n    KAPPA: 0.1\n",
      r"TEST\.DSR\.KAPPA is written twice, in lines 3 and 5"),
     ("_BASE_: based.yml\n", r"_BASE_ goes round in a circle: own\.yml, based\.yml, own\.yml"),
     ("_BASE_: twice.yml\nSEED: 1\n", r'SEED is written twice, in lines 1 and 2 of .*twice\.yml"'),
     ("MODEL:\n  BACKBONE:\n    PRETRAIN:\n", r"MODEL\.BACKBONE\.PRETRAIN is empty: give it a"),
     ("DATASETS:\n  ROOT:\n", r"DATASETS\.ROOT is empty"),
     ("INPUT:\n  SIZE_TEST: null\n", r"INPUT\.SIZE_TEST is empty"),
     ("MODEL:\n", "MODEL is empty"),
     ("DATASETS:\n  TESTS: [2024]\n", r"DATASETS\.TESTS holds 2024, which is no text"),
     ('DATASETS:\n  TESTS: "(2024,)"\n', r"DATASETS\.TESTS holds 2024, which is no text")],
)  # fmt: skip
def test_what_a_reader_of_yaml_lets_pass_is_refused(
    make_config, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "based.yml").write_text("_BASE_: own.yml\n")
    (tmp_path / "twice.yml").write_text("SEED: 1\nSEED: 2\n")
    (tmp_path / "own.yml").write_text(text)
    with pytest.raises(ValueError, match=rf'^"[^"]*own\.yml": .*{said}'):
        merge_file(make_config(), str(tmp_path / "own.yml"))


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [("SEED", "None", "SEED is empty"), ("TEST.FLIP.ENABLED", "None", "ENABLED is empty"),
     ("DATASETS.TESTS", "(2024,)", "holds 2024, which is no text: write it in quotes")],
)  # fmt: skip
def test_nothing_and_numbers_among_texts_are_refused(
    make_config, key: str, text: str, said: str
) -> None:
    with pytest.raises(ValueError, match=rf"^command line, {key} .*: .*{said}"):
        merge_options(make_config(), [key, text])


def test_a_comparison_into_a_folder_of_digits() -> None:
    given = argparse.Namespace(output="2024", tests=["Market1501"], opts=[])
    cfg = compare.config_of(given, ["DSR", "demo.yml", "123", "MODEL.DEVICE", "cpu"])
    assert (cfg.OUTPUT_DIR, cfg.MODEL.WEIGHTS) == ("2024", "123")
    assert list(cfg.DATASETS.TESTS) == ["Market1501"]


def test_the_users_home_in_paths(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    keys = {
        "MODEL.WEIGHTS": "~/model.pth",
        "MODEL.BACKBONE.PRETRAIN_PATH": "~/imagenet.pth",
        "DATASETS.ROOT": "~/sets",
        "DATASETS.MASKS": "~/masks",
        "OUTPUT_DIR": "~/logs",
    }
    (tmp_path / "own.yml").write_text("KD:\n  MODEL_WEIGHTS: ['~/teacher.pth']\n")
    pairs = [part for pair in keys.items() for part in pair]
    cfg = setup_config(arguments("~/own.yml", "MODEL.DEVICE", "cpu", *pairs))
    for key, text in keys.items():
        assert config_value(cfg, key) == text.replace("~", str(tmp_path)), key
    assert list(cfg.KD.MODEL_WEIGHTS) == [f"{tmp_path}/teacher.pth"]
