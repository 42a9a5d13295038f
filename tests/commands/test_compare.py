"""`partialreid compare`: several systems, one table, one picture."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from partialreid.commands.compare import main, outputs_depend_on
from tests import tiny
from tests.made_up_reports import report, saved

COMMAND = [sys.executable, "-m", "partialreid", "compare"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data root, a trained tiny network and its evaluation."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.run(folder / "data", folder / "run", SOLVER__MAX_EPOCH=1, TEST__EVAL_PERIOD=0)
    tiny.evaluate(folder / "data", folder / "run" / "model_final.pth", folder / "evaluated")
    return folder


def compared(trained: Path, output: Path, **changes: object) -> dict:
    """Compare one system, in this process; what compare.json holds of it on SyntheticPartial."""
    weights = str(trained / "run" / "model_final.pth")
    keys = tiny.options(trained / "data", output, OUTPUT_DIR=None, DATASETS__TESTS=None, **changes)
    argv = ["--output", str(output), "--system", "A", tiny.CONFIG, weights]
    assert main([*argv, "--tests", "SyntheticPartial", "--opts", *keys]) == 0
    return json.loads((output / "compare.json").read_text())["A"]["SyntheticPartial"]


@pytest.mark.slow
def test_it_writes_table_json_and_picture(trained: Path, tmp_path: Path) -> None:
    keys = tiny.options(trained / "data", tmp_path, OUTPUT_DIR=None, DATASETS__TESTS=None)
    weights = str(trained / "run" / "model_final.pth")
    argv = ["--output", str(tmp_path / "out")]
    for name in ("plain", "same again"):
        argv += ["--system", name, tiny.CONFIG, weights, "TEST.DSR.FILL", "50.0"]
    argv += ["TEST.DSR.DISTANCE", "global"]
    argv += ["--tests", "SyntheticPartial", "SyntheticPartialOccluded", "--opts", *keys]
    assert main(argv) == 0
    record = json.loads((tmp_path / "out" / "compare.json").read_text())
    results = json.loads((trained / "evaluated" / "results.json").read_text())["SyntheticPartial"]
    for name in ("plain", "same again"):
        found = record[name]["SyntheticPartial"]
        for distance in ("global", "reconstruction", "fused"):
            assert found[distance] == results[distance]
            assert abs(100 * found["cmc"][distance][0] - found[distance]["Rank-1"]) < 1e-3
        assert record[name]["run"]["images_per_second"] > 0
        assert record[name]["run"]["config"]["MODEL"]["WEIGHTS"] == weights
        assert record[name]["run"]["config"]["TEST"]["DSR"]["FILL"] == 50
        # What each query found by the distance that is selected.
        queries = found["queries"]
        for metric in ("Rank-1", "mAP"):
            mean = sum(queries[metric]) / len(queries["identities"])
            assert mean == pytest.approx(found[found["selected"]][metric], abs=1e-3)
    assert record["plain"]["SyntheticPartialOccluded"]["global"]["Rank-1"] >= 0
    table = (tmp_path / "out" / "compare.md").read_text()
    # Of each system three distances, and what the oracle would give; and one difference.
    assert table.count("| SyntheticPartial ") == 9
    # The second is the same network, which ranks by its global distance.
    below = table[table.index("Differences") :]
    for test in ("SyntheticPartial", "SyntheticPartialOccluded"):
        first, second = record["plain"][test], record["same again"][test]
        assert (first["selected"], second["selected"]) == ("fused", "global")
        gains = [second["global"][m] - first["fused"][m] for m in ("Rank-1", "mAP")]
        (line,) = [x for x in below.splitlines() if f"| {test} " in x]
        assert f"| {gains[0]:+.1f} (" in line and f" / {gains[1]:+.1f} (" in line
    assert Image.open(tmp_path / "out" / "cmc.png").width > 400


@pytest.mark.slow
def test_curves_are_those_of_the_protocol(trained: Path, tmp_path: Path) -> None:
    full = compared(trained, tmp_path / "full")
    single = compared(trained, tmp_path / "single", TEST__DSR__PROTOCOL="single-shot")
    for found in (full, single):
        for distance in ("global", "reconstruction", "fused"):
            curve = found["cmc"][distance]
            for rank in (1, 5, 10):
                assert 100 * curve[rank - 1] == pytest.approx(found[distance][f"Rank-{rank}"])
    # One image of each of ten identities: the tenth is the last.
    assert single["cmc"]["global"][9] == pytest.approx(1)
    assert full["cmc"]["global"][9] < 1
    # A query has another gallery in each round: none is kept by itself.
    assert "queries" in full and "queries" not in single


def test_systems_that_see_other_images_share_no_outputs(make_config: Callable[..., Any]) -> None:
    crop = ("INPUT.CROP.ENABLED", True)

    def shared(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
        return outputs_depend_on(make_config(*one)) == outputs_depend_on(make_config(*other))

    # Outputs are known by the size of the image, which is that of the crop if there is one.
    assert shared(("INPUT.SIZE_TEST", [128, 64]), ("INPUT.SIZE_TEST", [256, 128]))
    assert not shared((*crop, "INPUT.SIZE_TEST", [128, 64]), (*crop, "INPUT.SIZE_TEST", [256, 128]))
    assert not shared(crop, ()) and shared(crop, (*crop, "TEST.DSR.KAPPA", 0.5))
    # Of one size, but not the same pixels.
    assert not shared(("INPUT.DETAIL", 0.5), ())


def test_earlier_comparisons_are_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curves = {"cmc": {"global": [0.4, 0.5]}, "selected": "global"}
    one = {"X": report({"global": 40.0}) | curves, "run": {"seed": 1}}
    two = {"X": report({"global": 50.0}) | curves, "run": {"seed": 2}}
    first, second = saved(tmp_path / "a", A=one), saved(tmp_path / "b", B=two)
    argv = ["--tests", "X", "--output", str(tmp_path / "out"), "--add", first, second]
    assert main(argv) == 0
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == {"A": one, "B": two}
    table = (tmp_path / "out" / "compare.md").read_text()
    assert table.index("| A ") < table.index("**50.00**")
    assert capsys.readouterr().out == table
    assert Image.open(tmp_path / "out" / "cmc.png").width > 400


def test_a_home_that_the_shell_has_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    curves = {"cmc": {"global": [0.4, 0.5]}, "selected": "global"}
    one = {"X": report({"global": 40.0}) | curves, "run": {"seed": 1}}
    earlier = Path(saved(tmp_path / "a", A=one)).relative_to(tmp_path)
    assert main(["--tests", "X", "--output", "~/out", "--add", f"~/{earlier}"]) == 0
    assert json.loads((tmp_path / "out" / "compare.json").read_text()) == {"A": one}


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of a command line that must end with status 2."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith("error: ")
    return said.err.splitlines()[-1]


def test_missing_checkpoint_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--output", str(tmp_path), "--tests", "SyntheticPartial"]
    argv += ["--system", "a", tiny.CONFIG, str(tmp_path / "absent.pth")]
    keys = tiny.options(tmp_path / "data", tmp_path, OUTPUT_DIR=None, DATASETS__TESTS=None)
    assert "absent.pth" in refused([*argv, "--opts", *keys], capsys)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cmc": None}, 'holds of A under X has no "cmc" as an evaluation writes it: compare it'),
        ({"run": 3}, "holds of A under run is no record of a run: compare it anew"),
        ({"X": [1]}, "holds of A under X is no record of results"),
    ],
    ids=str,
)
def test_results_that_are_not_whole_are_refused_before_anything_is_written(
    changes: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = report({"global": 40.0})
    system = {"X": part, "run": {}, **{key: changes[key] for key in changes if key != "cmc"}}
    if "cmc" in changes:
        part.update(changes)
    path = saved(tmp_path / "a", A=system)
    argv = ["--tests", "X", "--output", str(tmp_path / "out"), "--add", path]
    assert f'"{path}": what it {said}' in refused(argv, capsys)
    assert not any((tmp_path / "out").iterdir())


def test_the_record_of_a_run_is_no_test_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "a", A={"X": report({"global": 40.0}), "run": {}})
    argv = ["--tests", "X", "run", "--output", str(tmp_path / "out"), "--add", path]
    assert '--tests run: "run" is the record of a run, and no test set.' in refused(argv, capsys)


def test_nothing_is_written_where_the_picture_cannot_be_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "cmc.png").mkdir(parents=True)
    path = saved(tmp_path / "a", A={"X": report({"global": 40.0}), "run": {}})
    argv = ["--tests", "X", "--output", str(tmp_path / "out"), "--add", path]
    assert "cmc.png" in refused(argv, capsys)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["cmc.png"]


def test_results_of_other_systems_are_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = ({"X": report({"global": rank1}), "run": {}} for rank1 in (40.0, 50.0))
    first, second = saved(tmp_path / "a", A=one, B=two), saved(tmp_path / "b", C=one)
    argv = ["--tests", "X", "--output", str(tmp_path / "a")]
    said = f'"{first}" holds "A", "B" as well, which would be lost: keep its systems by --add'
    assert said in refused([*argv, "--add", second], capsys)
    assert json.loads(Path(first).read_text()) == {"A": one, "B": two}
    assert main([*argv, "--add", first, second]) == 0
    assert list(json.loads(Path(first).read_text())) == ["A", "B", "C"]
    # Those that are there may be compared anew, and what is no file of results is none to keep.
    assert main([*argv, "--add", saved(tmp_path / "c", A=two, B=one, C=two)]) == 0
    assert json.loads(Path(first).read_text())["A"] == two
    Path(first).write_text("{")
    assert main([*argv, "--add", second]) == 0


def test_no_test_set_is_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of systems that are there again, but on others."""
    both = dict.fromkeys(("X", "Y"), report({"global": 40.0}))
    first = saved(tmp_path / "a", A={**both, "run": {}})
    argv = ["--output", str(tmp_path / "a"), "--add", first, "--tests"]
    said = (
        f'"{first}" holds "Y" as well, which would be lost: name them in --tests, or give another'
    )
    before = Path(first).read_text()
    assert said in refused([*argv, "X"], capsys)
    assert Path(first).read_text() == before
    assert main([*argv, "Y", "X"]) == 0
    elsewhere = ["--output", str(tmp_path / "b"), "--add", first, "--tests", "X"]
    assert main(elsewhere) == 0


def test_names_are_cells_of_a_table(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", **{"a|b": {"X|Y": report({"global": 40.0}), "run": {}}})
    assert main(["--tests", "X|Y", "--output", str(tmp_path / "out"), "--add", path]) == 0
    assert "| X\\|Y " in (row := (tmp_path / "out" / "compare.md").read_text().splitlines()[2])
    assert "| a\\|b " in row


def test_incomplete_system_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--output", str(tmp_path), "--system", "a", tiny.CONFIG, "--tests", "SyntheticPartial"]
    wanted = "a name, a config file and a checkpoint are needed"
    assert wanted in refused(argv, capsys)


@pytest.mark.slow
def test_two_processes_and_options_of_a_system(trained: Path, tmp_path: Path) -> None:
    weights = str(trained / "run" / "model_final.pth")
    keys = tiny.options(trained / "data", tmp_path, OUTPUT_DIR=None, DATASETS__TESTS=None)
    command = [*COMMAND, "--output", str(tmp_path / "out"), "--num-gpus", "2"]
    command += ["--system", "ridge", tiny.CONFIG, weights]
    command += ["--system", "lasso", tiny.CONFIG, weights, "TEST.DSR.CODES", "lasso"]
    command += ["--tests", "SyntheticPartial", "--opts", *keys]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # Only the main process says what it does.
    assert done.stderr.count("Reconstruction distance: 40 queries") == 2
    record = json.loads((tmp_path / "out" / "compare.json").read_text())
    results = json.loads((trained / "evaluated" / "results.json").read_text())["SyntheticPartial"]
    assert [record[name]["run"]["processes"] for name in record] == [2, 2]
    codes = [record[name]["run"]["protocol"]["codes"] for name in record]
    assert codes == ["ridge", "lasso"]
    found = record["ridge"]["SyntheticPartial"]
    # Of all queries, which two processes share, each once.
    for name, parts in record.items():
        queries = parts["SyntheticPartial"]["queries"]
        assert len(queries["identities"]) == 40, name
        mean = sum(queries["mAP"]) / 40
        assert mean == pytest.approx(parts["SyntheticPartial"]["fused"]["mAP"], abs=1e-3)
    for distance in ("global", "reconstruction"):
        # A thread less rounds otherwise, which may swap two gallery images.
        assert abs(found[distance]["mAP"] - results[distance]["mAP"]) < 1
    assert found["global"] == record["lasso"]["SyntheticPartial"]["global"]
    assert found["reconstruction"] != record["lasso"]["SyntheticPartial"]["reconstruction"]
