"""`partialreid rankings`: a page of ranked lists for each test set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partialreid.commands import export, rankings
from partialreid.engine.checked_evaluation import checked_model, evaluated
from partialreid.engine.configuration import model_config
from partialreid.engine.model_file import write_calibration
from partialreid.metrics.query_examples import RULE
from partialreid.metrics.ranking import query_scores
from partialreid.search.calibration import Calibration, Logistic
from partialreid.search.example_lists import GROUPS
from tests import tiny

KINDS = ["global", "reconstruction", "fused"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data root, a trained tiny network, and the same as a model file.

    Its shortlist is half of the gallery.
    """
    folder = tmp_path_factory.mktemp("trained")
    tiny.run(folder / "data", folder / "run", SOLVER__MAX_EPOCH=1, TEST__EVAL_PERIOD=0)
    paths = [str(folder / "run" / "model_final.pth"), str(folder / "model.safetensors")]
    keys = ["TEST.DSR.LAMBDA_SELECTION", "fixed", "TEST.DSR.TOPK", "20"]
    assert export.main([*paths, *keys]) == 0
    return folder


def data_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    return json.loads(text.split('id="data">')[1].split("</script>")[0])


@pytest.mark.slow
def test_one_page_for_each_test_set(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {"MODEL__WEIGHTS": trained / "run" / "model_final.pth"}
    tests = {"DATASETS__TESTS": "('SyntheticPartial','SyntheticPartialOccluded')"}
    keys = tiny.options(trained / "data", tmp_path, **weights, **tests)
    argv = ["--config-file", tiny.CONFIG, "--queries", "3", "--length", "2", "--explain", "1"]
    assert rankings.main([*argv, *keys]) == 0
    names = ("SyntheticPartial", "SyntheticPartialOccluded")
    pages = [tmp_path / "rankings" / f"{name}.html" for name in names]
    # Results on standard output, all else on standard error.
    said = [f"ranked lists of 3 queries: {page}\n" for page in pages]
    assert capsys.readouterr().out == "".join(said)
    assert sorted((tmp_path / "rankings").iterdir()) == pages
    for page, name in zip(pages, names, strict=True):
        data = data_of(page)
        assert data["title"] == f"Ranked lists of {name}"
        assert (data["kinds"], data["kind"], data["length"]) == (KINDS, "fused", 2)
        assert "model_final.pth: 3 of 40 queries, 40 pictures" in data["about"]
        assert data["notes"][0] == RULE
        for query in data["queries"]:
            reasons = [bool(answer["reason"]) for answer in query["answers"]]
            assert reasons == [True] + [False] * (len(reasons) - 1)
            assert all(answer["verdict"] == "" for answer in query["answers"])


@pytest.mark.slow
def test_lists_are_those_of_the_evaluation(trained: Path, tmp_path: Path) -> None:
    model = str(trained / "model.safetensors")
    curve = Logistic(2.0, -3.0)
    known = Calibration("fused", curve, curve, curve, curve, "made up")
    write_calibration(model, known.as_plain())
    keys = ["DATASETS.ROOT", str(trained / "data"), "OUTPUT_DIR", str(tmp_path)]
    keys += ["MODEL.DEVICE", "cpu", "DATALOADER.NUM_WORKERS", "0"]
    argv = ["--model", model, "--queries", "6", "--length", "4", "--explain", "2"]
    assert rankings.main([*argv, *keys]) == 0
    data = data_of(tmp_path / "rankings" / "SyntheticPartial.html")
    assert "reconstruction distance of 100" in data["notes"][-1]

    cfg = model_config(model, keys)
    items, evaluator = evaluated(cfg, checked_model(cfg), "SyntheticPartial")
    paths = [path for path, *_ in items]
    scores = query_scores(evaluator.distances["fused"], *evaluator.ids)
    rows = sorted(zip(-scores.first, scores.ap, [paths[q] for q in scores.queries], strict=True))
    assert len(rows) == 40
    wanted = [*rows[:3], *rows[18:21]]
    assert [query["path"] for query in data["queries"]] == [path for *_, path in wanted]
    assert [query["group"] for query in data["queries"][2:4]] == list(GROUPS)
    gallery = {path: number for number, path in enumerate(paths[len(evaluator.ids[0]) :])}
    for query, (first, ap, path) in zip(data["queries"], wanted, strict=True):
        said = f"first right answer: {1 - first} of 40; average precision: {100 * ap:.1f} %"
        assert query["note"] == said
        q = paths.index(path)
        assert query["in_gallery"] == query["answers"][0]["probability"]
        # A person is as likely as the nearest picture, and another than the first no likelier than
        # that the first is wrong.
        near = evaluator.distances["fused"][q].numpy()
        shown = np.asarray(evaluator.ids[1])
        surest = curve(float(near.min()))
        for answer in query["answers"]:
            place = gallery[answer["path"]]
            assert answer["right"] == (evaluator.ids[0][q] == evaluator.ids[1][place])
            likely = curve(float(near[shown == shown[place]].min()))
            if shown[place] != shown[near.argmin()]:
                likely = min(likely, 1 - surest)
            assert answer["probability"] == pytest.approx(likely)
        for kind in KINDS:
            row = evaluator.distances[kind][q].numpy()
            order = np.argsort(row, kind="stable").tolist()
            for answer in query["answers"]:
                place = gallery[answer["path"]]
                assert answer["distances"][kind] == pytest.approx(float(row[place]))
                assert answer["ranks"][kind] == 1 + order.index(place)
            # The beginning of the list by each distance is there, and its first right answer.
            ranks = sorted(answer["ranks"][kind] for answer in query["answers"])
            assert ranks[:4] == [1, 2, 3, 4]
            right = [answer["ranks"][kind] for answer in query["answers"] if answer["right"]]
            people = np.asarray(evaluator.ids[1])[order]
            assert min(right) == 1 + int((people == evaluator.ids[0][q]).argmax())
        explained = [bool(answer["reason"]) for answer in query["answers"]]
        assert explained == [answer["ranks"]["fused"] <= 2 for answer in query["answers"]]


@pytest.mark.slow
def test_a_calibration_of_another_lambda_gives_no_verdicts(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes((trained / "model.safetensors").read_bytes())
    curve = Logistic(2.0, -3.0)
    known = Calibration("fused", curve, curve, curve, curve, "made up")
    write_calibration(str(model), known.as_plain())
    keys = ["DATASETS.ROOT", str(trained / "data"), "OUTPUT_DIR", str(tmp_path)]
    keys += ["MODEL.DEVICE", "cpu", "DATALOADER.NUM_WORKERS", "0", "TEST.DSR.LAMBDA", "0.25"]
    argv = ["--model", str(model), "--queries", "1", "--length", "2", "--explain", "1"]
    assert rankings.main([*argv, *keys]) == 0
    assert "was learnt with TEST.DSR.LAMBDA 0.8, here 0.25" in capsys.readouterr().err
    (query,) = data_of(tmp_path / "rankings" / "SyntheticPartial.html")["queries"]
    assert query["in_gallery"] is None
    assert {answer["verdict"] for answer in query["answers"]} == {""}


@pytest.mark.slow
def test_the_global_distance_alone_has_nothing_to_explain(trained: Path, tmp_path: Path) -> None:
    keys = ["DATASETS.ROOT", str(trained / "data"), "OUTPUT_DIR", str(tmp_path)]
    keys += ["MODEL.DEVICE", "cpu", "DATALOADER.NUM_WORKERS", "0", "TEST.DSR.ENABLED", "False"]
    argv = ["--model", str(trained / "model.safetensors"), "--queries", "2", "--length", "3"]
    assert rankings.main([*argv, *keys]) == 0
    data = data_of(tmp_path / "rankings" / "SyntheticPartial.html")
    assert (data["kind"], data["kinds"]) == ("global", ["global"])
    answers = [answer for query in data["queries"] for answer in query["answers"]]
    assert {answer["reason"] for answer in answers} == {""} and len(answers) >= 6


@pytest.mark.parametrize("option", ["--queries", "--length", "--explain"])
def test_lists_of_nothing(capsys: pytest.CaptureFixture[str], option: str) -> None:
    with pytest.raises(SystemExit) as caught:
        rankings.main(["--config-file", tiny.CONFIG, option, "0"])
    assert caught.value.code == 2
    assert f"argument {option}: 0 is less than 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "one of the arguments --config-file --model is required"),
        (["--config-file", tiny.CONFIG, "--model", "a.safetensors"], "not allowed with argument"),
        (["--model", "absent.safetensors"], 'the model file "absent.safetensors" is not there'),
    ],
)
def test_one_network(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        rankings.main(words)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_the_rule_stands_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        rankings.main(["--help"])
    assert " ".join(RULE.split()) in " ".join(capsys.readouterr().out.split())
