"""`partialreid rankings`: pictures of ranked lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from partialreid.commands import rankings
from tests import tiny

COMMAND = [sys.executable, "-m", "partialreid", "rankings"]


@pytest.mark.slow
def test_one_picture_for_each_test_set(tmp_path: Path) -> None:
    tiny.run(tmp_path / "data", tmp_path / "run", SOLVER__MAX_EPOCH=1, TEST__EVAL_PERIOD=0)
    weights = {"MODEL__WEIGHTS": tmp_path / "run" / "model_final.pth"}
    keys = tiny.options(tmp_path / "data", tmp_path / "out", **weights)
    done = subprocess.run(
        [*COMMAND, "--config-file", tiny.CONFIG, "--queries", "2", *keys],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    picture = tmp_path / "out" / "rankings" / "SyntheticPartial.png"
    assert Image.open(picture).width > 400
    # Results on standard output, all else on standard error.
    assert done.stdout == f"ranked lists of 2 queries: {picture}\n"


@pytest.mark.parametrize("option", ["--queries", "--length"])
def test_lists_of_nothing(capsys: pytest.CaptureFixture[str], option: str) -> None:
    with pytest.raises(SystemExit) as caught:
        rankings.main(["--config-file", tiny.CONFIG, option, "0"])
    assert caught.value.code == 2
    assert f"argument {option}: 0 is less than 1" in capsys.readouterr().err
