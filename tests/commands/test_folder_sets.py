"""Every command on `folder:...`: trained on, tested on, cut and hidden, compared and drawn."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partialreid.commands import compare, evaluate, export, rankings, select_lambda, train
from partialreid.data.catalogue import file_name
from partialreid.data.checked_lists import checked_lists
from partialreid.engine.model_file import read_header
from partialreid.synthetic.dataset import SyntheticPartial
from tests import tiny
from tests.paths import ROOT

CONFIG = str(ROOT / tiny.CONFIG)  # as some commands are called from elsewhere
HELD_OUT = 4
DRAWN = "SyntheticPartial-seed0-12x10"
pytestmark = pytest.mark.slow


def keys(folder: Path, output: Path, **changes: object) -> list[str]:
    own = {"MODEL__WEIGHTS": folder / "run" / "model_final.pth", "DATASETS__HELD_OUT": HELD_OUT}
    return tiny.options(folder / "data", output, **{**own, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people in `my people é`, a network that some of them trained, and its evaluation."""
    folder = tmp_path_factory.mktemp("trained")
    people = folder / "my people é"
    SyntheticPartial(str(folder / "data"), synthetic_train_ids=12, synthetic_test_ids=10)
    shutil.copytree(folder / "data" / DRAWN, people)
    tests = f"('folder:{people}/', 'SyntheticPartial', 'folder:{people}Occluded')"
    names = {"DATASETS__NAMES": f"('folder:{people}',)", "DATASETS__TESTS": tests}
    changes = {"SOLVER__MAX_EPOCH": 1, "TEST__EVAL_PERIOD": 0, "DATASETS__HELD_OUT": HELD_OUT}
    tiny.run(folder / "data", folder / "run", **names, **changes)
    tiny.evaluate(folder / "data", folder / "run" / "model_final.pth", folder / "evaluated")
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `trained`, from which the commands are called."""
    monkeypatch.chdir(trained)
    return trained


def test_training_and_evaluation(trained: Path) -> None:
    """The drawn set is such a folder: by its own name and by its path it gives the same."""
    results = json.loads((trained / "run" / "results.json").read_text())
    people = f"folder:{trained / 'my people é'}"
    assert list(results) == [f"{people}/", "SyntheticPartial", f"{people}Occluded", "run"]
    assert results[f"{people}/"] == results["SyntheticPartial"]
    assert results[f"{people}Occluded"]["global"] != results["SyntheticPartial"]["global"]
    assert tiny.losses(trained / "run")


def test_a_model_file_does_not_tell_where_the_images_lie(here: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    assert export.main([str(here / "run" / "model_final.pth"), str(path)]) == 0
    assert str(here).encode() not in path.read_bytes()
    header = read_header(str(path))
    assert header.record["data_sets"] == ["folder:my people é"]
    assert header.config["DATASETS"]["TESTS"][0] == "folder:my people é"


def test_compare_and_rankings(here: Path, tmp_path: Path) -> None:
    tests = ["folder:my people é", "folder:./my people éPartial"]
    own = keys(here, tmp_path, DATASETS__TESTS=None, OUTPUT_DIR=None)
    system = ["--system", "A", CONFIG, str(here / "run/model_final.pth")]
    argv = ["--output", str(tmp_path), *system, "--tests", *tests, "--opts", *own]
    assert compare.main(argv) == 0
    found = json.loads((tmp_path / "compare.json").read_text())["A"]
    assert list(found) == [*tests, "run"]
    results = json.loads((here / "evaluated" / "results.json").read_text())["SyntheticPartial"]
    assert found[tests[0]]["fused"] == results["fused"] != found[tests[1]]["fused"]
    assert f"| {tests[1]} " in (tmp_path / "compare.md").read_text()

    argv = ["--config-file", CONFIG, "--queries", "1"]
    assert rankings.main([*argv, *keys(here, tmp_path, DATASETS__TESTS=str(tuple(tests)))]) == 0
    drawn = {path.name for path in (tmp_path / "rankings").iterdir()}
    assert drawn == {f"{file_name(name)}.html" for name in tests}


def test_select_lambda(here: Path, tmp_path: Path) -> None:
    argv = ["--config-file", CONFIG]
    argv += keys(here, tmp_path, DATASETS__NAMES="('folder:my people é/',)", DATASETS__TESTS=None)
    assert select_lambda.main(argv) == 0
    curves = json.loads((tmp_path / "lambda.json").read_text())["curves"]
    name = "folder:my people éHeldOut"
    assert list(curves) == [f"{name}Partial", f"{name}Occluded", "mean"]


def test_select_lambda_by_other_people(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A set that was not trained on chooses as well; what it finds is what an evaluation finds."""
    argv = ["--config-file", CONFIG]
    argv += keys(here, tmp_path, DATASETS__HELD_OUT=0, DATASETS__TESTS=None)
    # What the config names as trained on, and, under any of its names, what the checkpoint does.
    for more, known in (
        ([], "SyntheticPartial"),
        (["DATASETS.NAMES", "('Market1501',)"], "folder:my people é/"),
        (["DATASETS.NAMES", "('Market1501',)"], f"folder:{here / 'my people é'}"),
    ):
        with pytest.raises(SystemExit):
            select_lambda.main([*argv, *more, "--people", known])
        assert f"was trained on {known}: take another set" in capsys.readouterr().err
    argv += ["DATASETS.NAMES", "('Market1501',)"]

    others = ["--people", "SyntheticPartial", "--queries", "Whole", "Occluded"]
    assert select_lambda.main([*argv, *others]) == 0
    record = json.loads((tmp_path / "lambda.json").read_text())
    assert list(record["curves"]) == ["SyntheticPartial", "SyntheticPartialOccluded", "mean"]
    results = json.loads((here / "evaluated" / "results.json").read_text())["SyntheticPartial"]
    ends = [record["curves"]["SyntheticPartial"]["mAP"][i] for i in (0, -1)]
    assert ends == pytest.approx([results[kind]["mAP"] for kind in ("global", "reconstruction")])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DATASETS__NAMES": "('folder:no one',)"}, "DATASETS.NAMES holds 'folder:no one': there"),
        ({"DATASETS__NAMES": "('folder:run',)"}, 'no folder "{}/run/train"'),
        ({"DATASETS__TESTS": "('folder:run',)"}, 'no folder "{}/run/query"'),
        ({"DATASETS__TESTS": "('folder:data',)", "DATASETS__NAMES": "('folder:data',)"}, "query"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(
    here: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    said: str,
) -> None:
    argv = ["--config-file", CONFIG]
    with pytest.raises(SystemExit) as caught:
        train.main([*argv, *keys(here, tmp_path / "out", **changes)])
    assert caught.value.code == 2
    assert said.replace("{}", str(here)) in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out" / "log.txt").exists()


def test_a_real_folder(data_root: Callable[..., Path], make_config: Callable[..., Any]) -> None:
    """CUHK03-val, whose names are <identity>_c<camera>_<number>.jpg."""
    root = data_root("CUHK03-val/query") / "CUHK03-val"
    found = checked_lists(make_config(), f"folder:{root}")[1:]
    numbers: dict[str, int] = {}
    for part, items in zip(("query", "gallery"), found, strict=True):
        files = sorted(os.path.abspath(path) for path in (root / part).iterdir())
        assert [path for path, *_ in items] == files
        for path, number, camera in items:
            identity, said, _ = Path(path).stem.split("_")
            assert camera == int(said.removeprefix("c"))
            assert numbers.setdefault(identity, number) == number
    # Identities are text and get numbers in their order.
    assert [numbers[name] for name in sorted(numbers)] == list(range(1, 301))


def test_people_of_a_real_folder_are_found(
    tmp_path: Path, data_root: Callable[..., Path], original_checkpoint: Path
) -> None:
    """29 people of CUHK03-val, whom a network of Market-1501 has never seen."""
    root = data_root("CUHK03-val/query") / "CUHK03-val"
    for path in sorted(root.glob("*/00[0-2]?_*.jpg")):
        link = tmp_path / "people" / path.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.absolute())
    name = f"folder:{tmp_path}/people"
    own = ["DATASETS.TESTS", f"('{name}',)", "OUTPUT_DIR", str(tmp_path / "out")]
    own += ["MODEL.DEVICE", "cpu", "DATALOADER.NUM_WORKERS", "0", "TEST.DSR.TOPK", "50"]
    own += ["MODEL.WEIGHTS", str(original_checkpoint)]
    assert evaluate.main(["--config-file", "market_mobilenetv2.yml", *own]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())[name]
    # By chance one of 29.
    for distance in ("global", "reconstruction", "fused"):
        assert results[distance]["Rank-1"] > 5 * 100 / 29, distance
