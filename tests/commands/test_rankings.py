"""`partialreid rankings`: pictures of ranked lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from partialreid.commands import rankings
from tests import tiny


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data root and a trained tiny network."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.run(folder / "data", folder / "run", SOLVER__MAX_EPOCH=1, TEST__EVAL_PERIOD=0)
    return folder


@pytest.mark.slow
def test_one_picture_for_each_test_set(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {"MODEL__WEIGHTS": trained / "run" / "model_final.pth"}
    keys = tiny.options(trained / "data", tmp_path, **weights)
    assert rankings.main(["--config-file", tiny.CONFIG, "--queries", "2", *keys]) == 0
    picture = tmp_path / "rankings" / "SyntheticPartial.png"
    assert Image.open(picture).width > 400
    # Results on standard output, all else on standard error.
    assert capsys.readouterr().out == f"ranked lists of 2 queries: {picture}\n"


@pytest.mark.parametrize("option", ["--queries", "--length"])
def test_lists_of_nothing(capsys: pytest.CaptureFixture[str], option: str) -> None:
    with pytest.raises(SystemExit) as caught:
        rankings.main(["--config-file", tiny.CONFIG, option, "0"])
    assert caught.value.code == 2
    assert f"argument {option}: 0 is less than 1" in capsys.readouterr().err
