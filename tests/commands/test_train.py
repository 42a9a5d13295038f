"""The command line: what it refuses, in one line, and that it does so before any process starts."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.engine.defaults import default_argument_parser

from partialreid.commands import evaluate, job
from partialreid.commands import train as command
from partialreid.commands.train import build_parser, main
from partialreid.engine.checkpoint import SafeCheckpointer
from partialreid.engine.configuration import setup_config

BASE = "projects/PartialReID/configs/Base-Partial.yml"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], started: list[Any]) -> Callable[..., str]:
    """Runs a command line that must end with status 2, one line, and nothing started."""

    def run(*argv: str) -> str:
        with pytest.raises(SystemExit) as caught:
            main(argv)
        assert caught.value.code == 2
        output = capsys.readouterr()
        assert output.out == ""
        # What a progress bar has drawn and taken away again comes before the last \r.
        message = output.err.rsplit("\r", 1)[-1]
        assert message.startswith("error: ")
        assert output.err.count("\n") == 1, output.err
        assert started == []
        return message

    return run


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any, **__: Any) -> None:
        raise AssertionError("data are read")

    monkeypatch.setattr(command, "check_test_sets", read)
    monkeypatch.setattr(command, "train_items", read)


def test_ctrl_c_says_how_a_training_goes_on_and_that_of_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "setup_config", interrupted)
    for words, said in (
        ([], f"interrupted; {command.GOES_ON}\n"),
        (["--eval-only"], "interrupted\n"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["--config-file", BASE, *words])
        assert caught.value.code == 130
        assert capsys.readouterr().err == said


def test_a_good_command_line_starts(options, started: list[Any], tmp_path: Path) -> None:
    two = ("DATALOADER.NUM_INSTANCE", 2)
    assert main(["--config-file", BASE, "--num-gpus", "2", *options("SEED", 3, *two)]) == 0
    function, device, processes, machines, rank, url, (work, cfg, args) = started[0]
    assert len(started) == 1
    assert (function, work) == (job.run, command.train)
    assert (device, processes, machines, rank, url) == ("cpu", 2, 1, 0, None)
    assert cfg.is_frozen()
    assert cfg.SEED == 3
    assert cfg.MODEL.BACKBONE.LAST_STRIDE == 1
    assert not args.eval_only
    assert (tmp_path / "out").is_dir()


def test_every_option_of_fastreid_is_there() -> None:
    ours = vars(build_parser().parse_args([]))
    theirs = vars(default_argument_parser().parse_args([]))
    assert ours.keys() == theirs.keys() | {"allow_partial"}
    changed = {name for name in theirs if ours[name] != theirs[name]}
    assert changed == {"num_gpus", "dist_url"}
    assert ours["num_gpus"] is ours["dist_url"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MODEL:\n  BACKBONES: {}\n", "Non-existent config key: MODEL.BACKBONES"),
        ("TEST:\n  DSR:\n    KAPA: 0.1\n", "Non-existent config key: TEST.DSR.KAPA"),
        ("SOLVER:\n  MAX_EPOCH: many\n", "SOLVER.MAX_EPOCH"),
        ("_BASE_: absent.yml\n", "absent.yml"),
        ("MODEL: [1\n", "line 2"),
        ("", "is no YAML file of keys and values"),
        ("- 1", "is no YAML file of keys and values"),
    ],
)
def test_bad_config_file(refused, no_data, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.yml"
    file.write_text(text)
    message = refused("--config-file", str(file))
    assert f'"{file}"' in message
    assert said in message


def test_absent_config_file(refused, no_data) -> None:
    assert '--config-file "absent.yml" is not there' in refused("--config-file", "absent.yml")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["MODEL.NAME", "x"], "MODEL.NAME x: Non-existent key: MODEL.NAME"),
        (["SEED.NUMBER", "1"], "Non-existent key: SEED.NUMBER"),
        (["SOLVER.MAX_EPOCH", "many"], "SOLVER.MAX_EPOCH many"),
        (["SOLVER.MAX_EPOCH"], "pairs"),
        (["SOLVER.MAX_EPOCH", "1", "--resume"], "pairs, and options such as --resume before"),
        (["SOLVER.MAX_EPOCH", "1", "--num-gpus", "2"], "--num-gpus must come before"),
        (["TEST.DSR.KAPPA", "0.0"], "TEST.DSR.KAPPA is 0.0"),
        (["DATASETS.TESTS", "('Typo',)"], "DATASETS.TESTS holds 'Typo'"),
        (["MODEL.DEVICE", "gpu"], "MODEL.DEVICE is 'gpu'"),
        (["--eval-only"], "add MODEL.WEIGHTS"),
        (["--eval-only", "MODEL.WEIGHTS", "x.pth"], 'the checkpoint "x.pth" is not there'),
        (["--num-gpus", "0"], "--num-gpus 0"),
        (["--num-machines", "2"], "--num-machines needs --dist-url"),
        (["--machine-rank", "1"], "--machine-rank 1 is not in 0..0"),
        (["MODEL.WEIGHTS", "x.pth"], 'the checkpoint "x.pth" is not there'),
        (["--resume"], "has no last_checkpoint to continue from. Correct OUTPUT_DIR"),
        (["MODEL.BACKBONE.PRETRAIN", "True", "MODEL.BACKBONE.PRETRAIN_PATH", "x.pth"],
         'MODEL.BACKBONE.PRETRAIN_PATH "x.pth" is not a file'),
        (["OUTPUT_DIR", "setup.py/logs"], 'OUTPUT_DIR "setup.py/logs" cannot be written'),
    ],
)  # fmt: skip
def test_bad_command_line(refused, no_data, options, argv: list[str], said: str) -> None:
    flags = list(argv)
    keys: list[str] = []
    for i, word in enumerate(argv):
        if word.isupper() or "." in word:
            flags, keys = argv[:i], argv[i:]
            break
    assert said in refused(*flags, *options(), *keys)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["DATASETS.ROOT", "absent"], "Market1501"),
        (["DATASETS.NAMES", "('PartialREID',)", "DATASETS.ROOT", "absent"], "Market1501"),
        (["SOLVER.IMS_PER_BATCH", "32"], "there are 16 training images, fewer than one batch"),
        (["DATALOADER.NUM_INSTANCE", "1", "DATALOADER.SAMPLER_TRAIN", "NaiveIdentitySampler"],
         "NaiveIdentitySampler needs 8 identities"),
    ],
)  # fmt: skip
def test_data_that_do_not_fit(refused, options, argv: list[str], said: str) -> None:
    assert said in refused(*options(*argv))


def test_broken_image_of_a_test_set(refused, options, tmp_path: Path) -> None:
    query = next((tmp_path / "data" / "Market-1501-v15.09.15" / "query").iterdir())
    query.write_text("no image")
    assert f'cannot be read: "{query}"' in refused(*options())


def test_evaluation_needs_no_training_set(options, started: list[Any], tmp_path: Path) -> None:
    torch.save({"model": {"heads.weight": torch.zeros(5, 4)}}, tmp_path / "model.pth")
    keys = options("DATASETS.NAMES", "()", "MODEL.WEIGHTS", tmp_path / "model.pth")
    assert main(["--eval-only", *keys]) == 0
    assert len(started) == 1


@pytest.mark.parametrize("damage", [True, False])
def test_resume_reads_the_last_checkpoint(
    options, started, capsys, tmp_path: Path, damage: bool
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    model = torch.nn.Linear(2, 2)
    adam = torch.optim.Adam(model.parameters())
    SafeCheckpointer(model, str(output), optimizer=adam).save("model_0001", epoch=1)

    path = output / "model_0001.pth"
    if damage:
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(SystemExit):
            main(["--resume", *options()])
        assert f'"{path}"' in capsys.readouterr().err
    else:
        assert main(["--resume", *options("MODEL.BACKBONE.PRETRAIN", True)]) == 0
        cfg = started[0][-1][1]
        assert not cfg.MODEL.BACKBONE.PRETRAIN  # the checkpoint overwrites it


def parsed(*argv: str) -> argparse.Namespace:
    return build_parser().parse_args(argv)


def test_a_negative_seed_is_drawn_anew() -> None:
    seeds = {setup_config(parsed("SEED", "-1", "MODEL.DEVICE", "cpu")).SEED for _ in range(4)}
    assert len(seeds) == 4
    assert min(seeds) >= 0
    assert setup_config(parsed("SEED", "7", "MODEL.DEVICE", "cpu")).SEED == 7


def test_a_drawn_seed_is_logged(options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "load_for_evaluation", lambda *_: None)
    monkeypatch.setattr(evaluate, "training_of", lambda *_: {})
    monkeypatch.setattr(evaluate, "evaluate_test_sets", lambda *_: {"metric": 1.0})
    args = parsed("--eval-only", *options("SEED", "-1"))
    cfg = setup_config(args)
    assert job.run(evaluate.evaluate, cfg, args) == {"metric": 1.0}
    assert f"SEED {cfg.SEED} " in (tmp_path / "out" / "log.txt").read_text()
    assert f"SEED: {cfg.SEED}\n" in (tmp_path / "out" / "config.yaml").read_text()


def test_all_processes_use_the_main_ones_seed(make_config, monkeypatch) -> None:
    monkeypatch.setattr(job.comm, "all_gather", lambda seed: [11, seed])
    cfg = make_config("SEED", 22)
    cfg.freeze()
    job.share_seed(cfg)
    assert cfg.SEED == 11
    assert cfg.is_frozen()


@pytest.mark.slow
def test_script_ends_with_status_2_and_one_line() -> None:
    script = "projects/PartialReID/train_net.py"
    done = subprocess.run(
        [sys.executable, script, "--config-file", "absent.yml"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 2
    assert re.fullmatch(
        r'error: --config-file "absent\.yml" is not there\. The project has Base-Partial\.yml, '
        r"demo\.yml, [^\n]*partial_market\.yml[^\n]*\.\n",
        done.stderr,
    )
