"""The program that networks are chosen by: what it evaluates, writes and sets side by side."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks import validation
from benchmarks.validation import (
    SETS,
    ValidationSet,
    config_of,
    evaluated_with,
    main,
    table,
)
from partialreid.commands import export
from partialreid.data.checked_lists import checked_lists
from partialreid.reporting.query_record import METRICS
from tests import tiny


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "results"
    monkeypatch.setattr(validation, "RESULTS", folder)
    return folder


def queries(rank1: list[float], ap: list[float], identities: list[int]) -> dict[str, Any]:
    """What is kept of each query."""
    return {"identities": identities, "Rank-1": rank1, "mAP": ap}


def record(rank1: list[float], ap: list[float], identities: list[int]) -> dict[str, Any]:
    """What is kept of a network on one set."""
    found = {"Rank-1": float(np.mean(rank1)), "mAP": float(np.mean(ap))}
    return {
        "report": {"reconstruction": found},
        "queries": queries(rank1, ap, identities),
    }


def test_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results.mkdir()
    for name, gain in (("plain", 0.0), ("better", 12.0)):
        parts = {s.title: record([50.0 + gain] * 2, [40.0 + gain] * 2, [1, 2]) for s in SETS}
        (results / f"{name}.json").write_text(json.dumps(parts))
    assert main(["table", "plain", "better"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(SETS) + len(validation.PEOPLE)
    assert [cell.strip() for cell in lines[1 + len(SETS)].split("|")[1:-1]] == [
        SETS[-1].title,
        "50.0 / 40.0",
        "62.0 / 52.0; +12.0 (+12.0 to +12.0) / +12.0 (+12.0 to +12.0)",
    ]
    parts = {s.title: record([50.0] * 2, [40.0] * 2, [1, 3]) for s in SETS}
    (results / "others.json").write_text(json.dumps(parts))
    with pytest.raises(SystemExit) as caught:
        main(["table", "plain", "others"])
    said = f"{SETS[0].title}: the networks were evaluated on different queries"
    assert caught.value.code == 2 and said in capsys.readouterr().err
    (results / "fusion.json").write_text(json.dumps({SETS[0].title: {"isotonic": {}}}))
    for name, said in (("absent", "evaluate absent with `run` first"), ("fusion", "other program")):
        with pytest.raises(SystemExit) as caught:
            main(["table", "plain", name])
        assert caught.value.code == 2 and said in capsys.readouterr().err


def test_other_queries_of_the_same_people_are_refused(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.mkdir()
    title = "CUHK03-val, cut"
    for name, changes in (("one", {}), ("seed", {"derived_seed": 1}), ("kappa", {"kappa": 1.0})):
        kept = {"derived_seed": 0, "derived": {"SIDES": "any"}, **changes}
        part = {**record([50.0] * 2, [40.0] * 2, [1, 2]), "protocol": kept}
        (results / f"{name}.json").write_text(json.dumps({title: part}))
    assert "+0.0" in table(["one", "kappa"])
    for names in (["one", "kappa", "seed"], ["one+seed"]):
        with pytest.raises(SystemExit):
            table(names)
        said = f"{title}: seed was asked other queries than one (derived_seed): evaluate both"
        assert said in capsys.readouterr().err


def test_all_queries_of_the_same_people(results: Path) -> None:
    """Each query counts once; of sets that one network lacks none does."""
    results.mkdir()
    ours = {
        "CUHK03-val": record([100.0, 0.0], [60.0, 20.0], [1, 2]),
        "CUHK03-val, cut": record([0.0, 0.0], [10.0, 6.0], [1, 2]),
        "CUHK03-val, small": record([100.0, 100.0], [100.0, 100.0], [1, 2]),
    }
    first = {
        "CUHK03-val": record([100.0, 0.0], [50.0, 20.0], [1, 2]),
        "CUHK03-val, cut": record([0.0, 0.0], [8.0, 6.0], [1, 2]),
    }
    for name, parts in (("first", first), ("ours", ours)):
        (results / f"{name}.json").write_text(json.dumps(parts))
    last = table(["first", "ours"]).splitlines()[-1]
    assert [cell.strip() for cell in last.split("|")[1:-1]] == [
        "CUHK03-val, all",
        "25.0 / 21.0",
        "25.0 / 24.0; +0.0 (+0.0 to +0.0) / +3.0 (+0.0 to +6.0)",
    ]


def test_halves_are_not_among_all_queries(results: Path) -> None:
    """What was said of all queries before there were halves is still true of the same networks."""
    results.mkdir()
    parts = {
        "CUHK03-val": record([100.0, 0.0], [60.0, 20.0], [1, 2]),
        "CUHK03-val, cut": record([0.0, 0.0], [10.0, 6.0], [1, 2]),
        "CUHK03-val, half": record([0.0, 0.0], [0.0, 0.0], [1, 2]),
    }
    (results / "one.json").write_text(json.dumps(parts))
    lines = [[cell.strip() for cell in x.split("|")[1:-1]] for x in table(["one"]).splitlines()]
    assert lines[4:] == [["CUHK03-val, half", "0.0 / 0.0"], ["CUHK03-val, all", "25.0 / 24.0"]]


def test_seeds_of_one_network(results: Path) -> None:
    """Their mean, with the same people drawn for all; beside it a network of one seed."""
    results.mkdir()
    title = "CUHK03-val"
    found = {
        "one": [0.0, 100.0],
        "one_seed1": [0.0, 0.0],
        "two": [100.0, 100.0],
        "two_seed1": [0.0] * 2,
    }
    for name, rank1 in found.items():
        part = {title: record(rank1, rank1, [1, 2])}
        if name != "two":
            part["same camera"] = part[title]
        (results / f"{name}.json").write_text(json.dumps(part))
    (line,) = table(["one+one_seed1", "two+two_seed1"]).splitlines()[2:-1]
    # Of one person a seed of two finds what it did not find before; of the other nothing changes.
    assert line.split("|")[1:3] == [f" {title:11} ", " 25.0 / 25.0     "]
    assert "50.0 / 50.0; +25.0 (+0.0 to +50.0)" in line
    assert "100.0 / 100.0; +75.0 (+50.0 to +100.0)" in table(["one+one_seed1", "two"])
    # A seed of two has not seen the other set: no figure of it is that of both seeds.
    assert table(["one+one_seed1", "two+two_seed1"]).splitlines()[-1].split("|")[-2].strip() == ""


def test_by_which_keys_an_evaluation_differs_from_the_training(tmp_path: Path) -> None:
    """Windows, whether a config or the command line says so; not what is of a machine."""
    args = argparse.Namespace(config_file=tiny.CONFIG, weights="m.pth", opts=[])
    trained = yaml.safe_load(config_of(args, ValidationSet("", "SyntheticPartial")).dump())
    args.opts = ["MODEL.HEADS.DSR.KERNELS", "(2,4)", "OUTPUT_DIR", str(tmp_path)]
    cfg = config_of(args, ValidationSet("", "SyntheticPartial"))
    assert evaluated_with(cfg, trained) == {"MODEL.HEADS.DSR.KERNELS": [2, 4]}


def test_cuhk03_val_lies_below_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for person in (12, 31):
        for camera, part in ((1, "query"), (2, "gallery")):
            name = f"{person:04d}_c{camera}_00.jpg"
            tiny.draw(tmp_path / "CUHK03-val" / part / name, person)
    args = argparse.Namespace(config_file=tiny.CONFIG, weights="m.pth")
    args.opts = ["MODEL.DEVICE", "cpu"]
    monkeypatch.setenv("FASTREID_DATASETS", str(tmp_path))
    names = set()
    for wanted in SETS:
        if not wanted.title.startswith("CUHK03-val"):
            continue
        cfg = config_of(args, wanted)
        (name,) = cfg.DATASETS.TESTS
        _, query, gallery = checked_lists(cfg, name)
        assert [camera for *_, camera in query + gallery] == [1, 1, 2, 2]
        names.add(name.removeprefix(f"folder:{tmp_path}/CUHK03-val"))
    assert names == {"", "Partial", "Occluded", "Small"}


@pytest.mark.slow
def test_run_writes_what_the_table_reads(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sets = (
        ValidationSet("whole", "SyntheticPartial"),
        ValidationSet("held out", "SyntheticPartialHeldOut"),
        ValidationSet("cut", "SyntheticPartialPartial", validation.ANY),
    )
    monkeypatch.setattr(validation, "SETS", sets)
    changes = {"SOLVER__MAX_EPOCH": 1, "TEST__EVAL_PERIOD": 0, "DATASETS__HELD_OUT": 4}
    keys = tiny.options(tmp_path / "data", tmp_path / "out", **changes)
    tiny.run(tmp_path / "data", tmp_path / "out", **changes)
    weights = str(tmp_path / "out" / "model_final.pth")
    assert main(["run", "tiny", tiny.CONFIG, weights, *keys]) == 0
    written = json.loads((results / "tiny.json").read_text())
    trained = json.loads((tmp_path / "out" / "results.json").read_text())["SyntheticPartial"]
    assert written["whole"]["report"]["reconstruction"] == trained["reconstruction"]
    assert written["cut"]["protocol"]["derived"]["SIDES"] == "any"
    for part in ("whole", "held out", "cut"):
        report = written[part]["report"]["reconstruction"]
        for metric in METRICS:
            mean = np.mean(written[part]["queries"][metric])
            assert mean == pytest.approx(report[metric], abs=1e-3)
    assert written["run"]["config"]["SOLVER"]["MAX_EPOCH"] == 1
    assert written["run"]["evaluated_with"] == {}
    assert str(tmp_path) not in (results / "tiny.json").read_text()
    assert "tiny" in table(["tiny"])
    # A set that came later is added, and says by which commit; the others stay.
    written.pop("cut")
    (results / "tiny.json").write_text(json.dumps(written))
    assert main(["run", "tiny", tiny.CONFIG, weights, *keys, "--only", "cut"]) == 0
    added = json.loads((results / "tiny.json").read_text())
    assert added["cut"]["run"]["commit"] == added["run"]["commit"]
    assert {part: added[part] for part in written} == written
    # It may be the first, as of a network that was trained on all people.
    assert main(["run", "new", tiny.CONFIG, weights, *keys, "--only", "cut"]) == 0
    begun = json.loads((results / "new.json").read_text())
    assert begun["cut"]["queries"] == added["cut"]["queries"] and "whole" not in begun
    # The mean of trainings is a model file, and the record says which.
    seeded = {**changes, "SEED": 1, "MODEL__WEIGHTS": weights}
    tiny.run(tmp_path / "data", tmp_path / "other", **seeded)
    mean = str(tmp_path / "mean.safetensors")
    other = str(tmp_path / "other" / "model_final.pth")
    assert export.main([weights, mean, "--average", other, "--other-trainings"]) == 0
    monkeypatch.setattr(validation, "SETS", sets[1:2])
    assert main(["run", "mean", tiny.CONFIG, mean, *keys]) == 0
    of_mean = json.loads((results / "mean.json").read_text())
    assert [each.get("SEED") for each in of_mean["run"]["trainings"]] == [None, 1]
    assert of_mean["held out"]["queries"] != written["held out"]["queries"]
    monkeypatch.setattr(validation, "SETS", sets)
    # Not to what is known of another mean, nor under a name that the table takes apart.
    added["run"]["trainings"] = [{}, {"SEED": 2}]
    (results / "tiny.json").write_text(json.dumps(added))
    for name, said in (("tiny", "of another training"), ("tiny+tiny", "named by letters")):
        with pytest.raises(SystemExit):
            main(["run", name, tiny.CONFIG, weights, *keys, "--only", "cut"])
        assert said in capsys.readouterr().err
    del added["run"]["trainings"]
    # Nor to what is known of another network.
    added["run"]["config"]["SOLVER"]["MAX_EPOCH"] = 2
    (results / "tiny.json").write_text(json.dumps(added))
    with pytest.raises(SystemExit):
        main(["run", "tiny", tiny.CONFIG, weights, *keys, "--only", "cut"])
    assert json.loads((results / "tiny.json").read_text()) == added
    # One that has seen the held-out identities is refused before any work.
    (results / "tiny.json").unlink()
    with pytest.raises(SystemExit):
        main(["run", "tiny", tiny.CONFIG, weights, *keys, "DATASETS.HELD_OUT", "3"])
    assert not (results / "tiny.json").exists()
