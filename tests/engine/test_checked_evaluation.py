"""No command that evaluates can leave a check out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from partialreid.commands import compare, rankings, select_lambda
from partialreid.engine import inference
from tests import tiny


def run_rankings(keys: list[str], weights: str) -> int:
    argv = ["--config-file", tiny.CONFIG, *keys, "MODEL.WEIGHTS", weights]
    return rankings.main(argv)


def run_select_lambda(keys: list[str], weights: str) -> int:
    argv = ["--config-file", tiny.CONFIG, *keys, "MODEL.WEIGHTS", weights]
    return select_lambda.main([*argv, "DATASETS.HELD_OUT", "2"])


def run_compare(keys: list[str], weights: str) -> int:
    output = keys[keys.index("OUTPUT_DIR") + 1]
    argv = ["--output", output, "--tests", "SyntheticPartial"]
    return compare.main([*argv, "--system", "A", tiny.CONFIG, weights, "--opts", *keys])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data root and a network that was trained without two of the identities."""
    folder = tmp_path_factory.mktemp("trained")
    keys = {"SOLVER__MAX_EPOCH": 1, "TEST__EVAL_PERIOD": 0, "DATASETS__HELD_OUT": 2}
    tiny.run(folder / "data", folder / "run", **keys)
    return folder


@pytest.mark.parametrize("command", [run_rankings, run_select_lambda, run_compare])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TEST__DSR__KAPPA": 0.0}, "TEST.DSR.KAPPA is 0.0"),
        ({"INPUT__SIZE_TEST": "[16,8]"}, "INPUT.SIZE_TEST"),
        ({"OUTPUT_DIR": "setup.py/logs"}, 'setup.py/logs" cannot be written'),
    ],
)
def test_every_command_checks_before_it_works(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[[list[str], str], int],
    changes: dict[str, object],
    said: str,
) -> None:
    def work(*_: object) -> None:
        raise AssertionError("works without a check")

    monkeypatch.setattr(inference, "evaluate_model", work)
    keys = tiny.options(trained / "data", tmp_path / "out", **changes)
    with pytest.raises(SystemExit) as caught:
        command(keys, str(trained / "run" / "model_final.pth"))
    assert caught.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: ")
    assert said in message


@pytest.mark.parametrize("command", [run_rankings, run_select_lambda])
def test_a_checkpoint_is_needed(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: Callable[[list[str], str], int],
) -> None:
    with pytest.raises(SystemExit):
        command(tiny.options(trained / "data", tmp_path / "out"), "")
    assert "error: a checkpoint is needed: add MODEL.WEIGHTS" in capsys.readouterr().err
