"""`partialreid select-lambda`: the lambda of identities that the network has not seen."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partialreid.commands import select_lambda
from partialreid.commands.select_lambda import lambda_lines, main
from partialreid.metrics.lambda_selection import LambdaCurve
from tests import tiny


@pytest.mark.slow
def test_it_chooses_lambda_and_refuses_a_checkpoint_that_knows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, root = tmp_path / "run", tmp_path / "data"
    changes = {"DATASETS__HELD_OUT": 4, "TEST__EVAL_PERIOD": 0, "SOLVER__MAX_EPOCH": 1}
    tiny.run(root, made, **changes)
    keys = tiny.options(root, tmp_path / "out", **changes, DATASETS__TESTS=None)
    argv = ["--config-file", tiny.CONFIG, *keys, "MODEL.WEIGHTS", str(made / "model_final.pth")]
    argv += ["SEED", "5", "MODEL.LOSSES.CE.EPSILON", "0.25", "TEST.DSR.LAMBDA_STEP", "0.03125"]
    capsys.readouterr()
    assert main(argv) == 0
    record = json.loads((tmp_path / "out" / "lambda.json").read_text())
    curves = record["curves"]
    # The config is that of this command; what the network was trained with is said beside it.
    trained_with = {"SEED": 0, "MODEL.LOSSES.CE.EPSILON": 0.12}
    assert record["run"]["config"]["SEED"] == 5 and record["run"]["trained_with"] == trained_with
    sets = ["SyntheticPartialHeldOutPartial", "SyntheticPartialHeldOutOccluded"]
    assert sorted(curves) == sorted([*sets, "mean"])
    assert len(record["lambdas"]) == 33
    for metric in ("Rank-1", "mAP"):
        means = [sum(pair) / 2 for pair in zip(*(curves[name][metric] for name in sets))]
        assert curves["mean"][metric] == pytest.approx(means)
    best = record["lambdas"].index(record["lambda"])
    assert curves["mean"]["Rank-1"][best] == pytest.approx(max(curves["mean"]["Rank-1"]))
    assert curves["mean"]["best_lambda"] == record["lambda"]
    # What each query found at that lambda: their means are the curves' values there.
    assert sorted(record["queries"]) == sorted(sets)
    for name, queries in record["queries"].items():
        assert len(set(queries["identities"])) == 4
        for metric in ("Rank-1", "mAP"):
            assert len(queries[metric]) == len(queries["identities"])
            found = sum(queries[metric]) / len(queries[metric])
            assert found == pytest.approx(curves[name][metric][best], abs=1e-3)
    # What is printed is given to other commands.
    *_, chosen = capsys.readouterr().out.split()
    assert float(chosen) == record["lambda"]
    assert Image.open(tmp_path / "out" / "lambda.png").format == "PNG"

    with pytest.raises(SystemExit) as caught:
        main([*argv, "DATASETS.HELD_OUT", "3"])
    assert caught.value.code == 2
    wanted = "was trained on 8 identities, but without DATASETS.HELD_OUT 3 there are 9"
    assert wanted in capsys.readouterr().err


def test_a_picture_names_the_lambda_that_is_best() -> None:
    curve = LambdaCurve((0.0, 0.125, 1.0), *(np.array([0.1, 0.3, 0.2]) for _ in range(3)))
    (line,) = lambda_lines({"mean": curve})
    assert line.label == "mean, best 0.125" and line.marked == 1


class Enough(Exception):
    """Ends a command once its config is asked for."""


@pytest.mark.parametrize(
    ("words", "kinds", "keys"),
    [
        (
            ["--queries", "Whole", "Small", "MODEL.WEIGHTS", "m.pth"],
            "Whole Small",
            "MODEL.WEIGHTS m.pth",
        ),
        (["SEED", "1", "--queries", "Whole", "OUTPUT_DIR", "x"], "Whole", "SEED 1 OUTPUT_DIR x"),
        (["--queries", "Whole", "SEED", "1", "--people", "A"], "Whole", "SEED 1"),
        (["MODEL.WEIGHTS", "m.pth"], "Partial Occluded", "MODEL.WEIGHTS m.pth"),
    ],
    ids=str,
)
def test_keys_may_follow_the_kinds_of_queries(
    words: list[str], kinds: str, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys come after all options, and --queries takes all words that follow."""

    def seen(args: argparse.Namespace) -> None:
        assert (args.queries, args.opts) == (kinds.split(), keys.split())
        raise Enough

    monkeypatch.setattr(select_lambda, "config_of", seen)
    with pytest.raises(Enough):
        main(["--config-file", tiny.CONFIG, *words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--queries Whole Smal", "give one or several of Partial, Occluded, Small, Whole, each"),
        ("--queries MODEL.WEIGHTS m.pth", "--queries MODEL.WEIGHTS m.pth: give one or several"),
        ("--queries Whole Partial Whole", "each once"),
        ("--queries Whole MODEL.WEIGHTS m.pth --queries Partial", "--queries Partial: give one"),
        ("SEED 1 --queries Whole SEED 2", "SEED is given twice"),
    ],
)
def test_what_is_no_kind_of_query_is_refused(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", tiny.CONFIG, *words.split()])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
