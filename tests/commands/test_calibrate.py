"""`partialreid calibrate`: what a twin teaches goes into the model file, which stays as it is."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from partialreid.commands import calibrate
from partialreid.commands.calibrate import file_to_teach, main
from partialreid.commands.export import main as export
from partialreid.engine.configuration import model_config
from partialreid.engine.model_file import read_header, read_model_file, write_model_file
from partialreid.keys import released_model
from partialreid.keys.released_model import RELEASED
from partialreid.search.calibration import from_plain
from partialreid.search.distance_settings import distance_settings
from tests import tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model file in half precision and its twin, trained without 6 of 12 people."""
    folder = tmp_path_factory.mktemp("calibrated")
    options = {"TEST__EVAL_PERIOD": 0, "SOLVER__IMS_PER_BATCH": 8}
    # After one epoch all people may be alike to a network, which then finds those of one half only:
    # nothing can be learnt of the other. By rounding, and so by the processor.
    for name, held_out, epochs in (("all", 0, 3), ("twin", 6, 10)):
        own = {"DATASETS__HELD_OUT": held_out, "SOLVER__MAX_EPOCH": epochs}
        tiny.run(folder / "data", folder / name, **own, **options)
    words = [str(folder / "all" / "model_final.pth"), str(folder / "m.safetensors"), "--half"]
    assert export(words) == 0
    # As if it were the mean of several trainings, which the twin is not.
    state, header = read_model_file(words[1])
    record = {**header.record, "trainings": [{}, {"SEED": 1}]}
    write_model_file(words[1], state, model_config(words[1], []), record, half=True)
    return folder


def run(trained: Path, twin: str, output: Path, *opts: object) -> int:
    words = [trained / "m.safetensors", "--twin", trained / twin / "model_final.pth"]
    words += ["DATASETS.ROOT", trained / "data", "OUTPUT_DIR", output, "MODEL.DEVICE", "cpu", *opts]
    return main([str(word) for word in words])


def test_it_writes_the_calibration_and_leaves_the_rest(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(trained / "m.safetensors")
    before, header = read_model_file(path)
    assert header.calibration is None
    # No search reads whether an evaluation would reconstruct.
    assert run(trained, "twin", tmp_path, "TEST.DSR.ENABLED", "False") == 0
    after, learnt = read_model_file(path)
    assert learnt._replace(calibration=None) == header
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    found = from_plain(learnt.calibration)
    assert found.kind == "fused" and found.learnt_on.startswith("6 held-out identities")
    assert found.settings == distance_settings(model_config(path, []))
    assert 0 <= found.probability(0.1, 0.01) <= 1 and found.right.distance != 0
    written = json.loads((tmp_path / "calibration.json").read_text())
    assert written["calibration"] == learnt.calibration
    assert 0 <= written["report"]["auc"] <= 1
    assert "trainings" not in written["run"]  # it is the twin that was measured
    assert f"auc: {written['report']['auc']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("twin", "opts", "said"),
    [
        ("all", [], "HELD_OUT"),
        ("none", [], "is not there"),
        ("twin", ["TEST.DSR.KAPPA", "-1"], "TEST.DSR.KAPPA"),
        ("twin", ["TEST.DSR.LAMBDA", "0.3"], "has TEST.DSR.LAMBDA 0.8, here 0.3: leave that out"),
        ("twin", ["TEST.METRIC", "euclidean"], "TEST.METRIC is euclidean, which"),
    ],
)
def test_what_cannot_teach_is_refused(
    twin: str, opts: list[str], said: str, trained: Path, tmp_path: Path, capsys
) -> None:
    before = read_header(str(trained / "m.safetensors"))
    with pytest.raises(SystemExit):
        run(trained, twin, tmp_path, *opts)
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error: " in text]
    assert said in line
    assert read_header(str(trained / "m.safetensors")) == before


def test_a_folder_that_cannot_be_written_is_found_before_the_work(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def refuse(dir: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), dir)

    monkeypatch.setattr(calibrate, "tempfile", SimpleNamespace(TemporaryFile=refuse))
    monkeypatch.setattr(calibrate, "checked_model", None)  # no work is begun
    with pytest.raises(SystemExit):
        run(trained, "twin", tmp_path)
    said = f'the folder of "{trained}/m.safetensors" cannot be written (Permission denied): copy'
    assert said in capsys.readouterr().err


def test_what_was_learnt_is_kept_where_the_model_file_cannot_be_written(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_the_way = trained / "m.safetensors.tmp"
    in_the_way.mkdir()
    try:
        with pytest.raises(SystemExit):
            run(trained, "twin", tmp_path)
    finally:
        in_the_way.rmdir()
    assert 'm.safetensors" cannot be written' in capsys.readouterr().err
    assert json.loads((tmp_path / "calibration.json").read_text())["calibration"]["kind"] == "fused"


def test_a_model_of_the_package_is_named_without_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / RELEASED).touch()
    monkeypatch.setattr(released_model, "models_folder", lambda: tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    assert file_to_teach(RELEASED) == str(tmp_path / RELEASED)


def test_other_people_teach_the_model_itself(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people, path = tmp_path / "people", tmp_path / "m.safetensors"
    shutil.copytree(trained / "data" / "SyntheticPartial-seed0-12x10", people)
    shutil.copy(trained / "m.safetensors", path)
    argv = [path, "DATASETS.ROOT", tmp_path / "data", "OUTPUT_DIR", tmp_path, "MODEL.DEVICE", "cpu"]
    path, *keys = argv  # keys may stand behind the set
    assert main([str(word) for word in (path, "--people", f"folder:{people}", *keys)]) == 0
    taught = path.read_bytes()
    learnt = from_plain(read_header(str(path)).calibration)
    assert learnt.learnt_on == "10 identities of folder:people, 120 queries whole, cut and hidden"
    written = json.loads((tmp_path / "calibration.json").read_text())
    assert written["run"]["config"]["MODEL"]["WEIGHTS"] == str(path)

    with pytest.raises(SystemExit):
        main(
            [
                str(word)
                for word in (*argv, "--people", f"folder:{people}", "--people", "SyntheticPartial")
            ]
        )
    assert f"{path} was trained on SyntheticPartial: take" in capsys.readouterr().err
    assert path.read_bytes() == taught


def test_two_sets_are_as_many_people_and_one_counts_once(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both name their people 0001 and so on; a folder by another path is the same folder."""
    path = tmp_path / "m.safetensors"
    shutil.copy(trained / "m.safetensors", path)
    source = trained / "data" / "SyntheticPartial-seed0-12x10"
    names = [f"folder:{shutil.copytree(source, tmp_path / name)}" for name in "ab"]
    keys = ["DATASETS.ROOT", tmp_path / "data", "OUTPUT_DIR", tmp_path, "MODEL.DEVICE", "cpu"]
    words = [str(x) for x in (path, "--people", names[0], "--people", names[1], *keys)]
    assert main(words) == 0
    learnt = from_plain(read_header(str(path)).calibration).learnt_on
    assert learnt == "20 identities of folder:a, folder:b, 240 queries whole, cut and hidden"
    for again in (f"folder:{tmp_path}/b/../a", f"{names[0]}Partial"):
        with pytest.raises(SystemExit):
            main([str(x) for x in (path, "--people", names[0], "--people", again, *keys)])
        said = f"{names[0]} and {again} show the same people, who would count twice"
        assert said in capsys.readouterr().err
