"""`partialreid export`, and what the commands do with the model file that it writes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from fastreid.config import CfgNode

from partialreid.commands import compare, evaluate, select_lambda
from partialreid.commands.export import main
from partialreid.engine.checkpoint import read_checkpoint
from partialreid.engine.checks import check_config
from partialreid.engine.configuration import setup_config
from partialreid.engine.inference import load_model
from partialreid.engine.model_file import (
    read_header,
    read_model_file,
    write_calibration,
    write_model_file,
)
from tests import tiny

SET = "SyntheticPartial"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data root, a trained tiny network, its evaluation and its model file."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.run(folder / "data", folder / "run", SOLVER__MAX_EPOCH=1, TEST__EVAL_PERIOD=0, SEED=3)
    tiny.evaluate(folder / "data", folder / "run" / "model_final.pth", folder / "evaluated")
    assert main([str(folder / "run" / "model_final.pth"), str(folder / "model.safetensors")]) == 0
    return folder


def results(output: Path) -> Any:
    return json.loads((output / "results.json").read_text())[SET]


def protocol(output: Path) -> Any:
    return json.loads((output / "results.json").read_text())["run"]["protocol"]


def model_config(path: Path, *opts: object) -> Any:
    words = [str(word) for word in ("MODEL.DEVICE", "cpu", *opts)]
    return setup_config(argparse.Namespace(config_file="", model=str(path), opts=words))


def test_it_evaluates_alone_as_its_checkpoint_does(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ["DATASETS.ROOT", str(trained / "data"), "MODEL.DEVICE", "cpu", "OUTPUT_DIR", "out"]
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(["--model", str(trained / "model.safetensors"), *keys]) == 0
    assert results(tmp_path / "out") == results(trained / "evaluated")
    run = json.loads((tmp_path / "out" / "results.json").read_text())["run"]
    assert run["config"]["MODEL"]["WEIGHTS"] == str(trained / "model.safetensors")
    assert run["config"]["MODEL"]["BACKBONE"]["DEPTH"] == "0.25x"


def test_a_checkpoint_evaluates_alone_too(trained: Path, tmp_path: Path) -> None:
    checkpoint = trained / "run" / "model_final.pth"
    keys = ["DATASETS.ROOT", trained / "data", "MODEL.DEVICE", "cpu"]
    words = ["--model", checkpoint, *keys, "OUTPUT_DIR", tmp_path / "out"]
    assert evaluate.main([str(word) for word in words]) == 0
    assert results(tmp_path / "out") == results(trained / "evaluated")
    arguments = argparse.Namespace(opts=[str(key) for key in keys], output=str(tmp_path))
    arguments.tests = [SET]
    system = ["A", str(checkpoint), "TEST.DSR.FILL", "50.0"]
    cfg = compare.config_of(arguments, system)
    assert str(checkpoint) == cfg.MODEL.WEIGHTS and cfg.TEST.DSR.FILL == 50.0
    assert cfg.MODEL.BACKBONE.DEPTH == "0.25x"


def test_it_evaluates_in_bfloat16_where_that_is_asked_for(trained: Path, tmp_path: Path) -> None:
    keys = ["DATASETS.ROOT", trained / "data", "MODEL.DEVICE", "cpu", "OUTPUT_DIR", tmp_path]
    half = [str(key) for key in (*keys, "MODEL.INFERENCE_DTYPE", "bfloat16")]
    assert evaluate.main(["--model", str(trained / "model.safetensors"), *half]) == 0
    assert protocol(tmp_path)["inference_dtype"] == "bfloat16"
    for folder in ("run", "evaluated"):
        assert protocol(trained / folder)["inference_dtype"] == "float32"


def test_it_is_a_checkpoint_of_its_config(trained: Path, tmp_path: Path) -> None:
    weights = trained / "model.safetensors"
    keys = tiny.options(trained / "data", tmp_path, MODEL__WEIGHTS=weights)
    assert evaluate.main(["--config-file", tiny.CONFIG, *keys]) == 0
    assert results(tmp_path) == results(trained / "evaluated")


def test_keys_go_over_the_config(trained: Path, tmp_path: Path) -> None:
    keys = ["DATASETS.ROOT", str(trained / "data"), "OUTPUT_DIR", str(tmp_path)]
    keys += ["MODEL.DEVICE", "cpu", "TEST.DSR.LAMBDA_SELECTION", "fixed", "TEST.DSR.LAMBDA", "0.25"]
    assert evaluate.main(["--model", str(trained / "model.safetensors"), *keys]) == 0
    found = results(tmp_path)
    assert (found["lambda_selection"], found["lambda"]) == ("fixed", 0.25)
    assert found["global"] == results(trained / "evaluated")["global"]


def test_what_it_holds(trained: Path) -> None:
    header = read_header(str(trained / "model.safetensors"))
    assert header.record == {
        "epoch": 0,
        "iteration": read_checkpoint(str(trained / "run" / "model_final.pth"))["iteration"],
        "classes": 12,
        "data_sets": [SET],
        "held_out": 0,
        "seed": 3,
    }
    data = (trained / "model.safetensors").read_bytes()
    for place in (trained, trained.parent, Path.cwd(), Path.home()):
        assert len(place.parts) < 2 or str(place).encode() not in data
    assert header.config["TEST"]["DSR"]["KAPPA"] == 0.001
    assert header.config["INPUT"]["SIZE_TEST"] == [64, 32]


def test_half_is_smaller_and_nearly_the_same(trained: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    assert main([str(trained / "run" / "model_final.pth"), str(half), "--half"]) == 0
    # Few of its layers are large.
    assert half.stat().st_size < 0.8 * (trained / "model.safetensors").stat().st_size
    torch.manual_seed(0)
    images = torch.rand(4, 3, 64, 32) * 255
    outputs = []
    for path in (trained / "run" / "model_final.pth", trained / "model.safetensors", half):
        cfg = model_config(trained / "model.safetensors")
        with torch.inference_mode():
            outputs.append(load_model(cfg, str(path)).eval()(images))
    for exact, single, rounded in zip(*outputs, strict=True):
        assert torch.equal(exact, single)
        assert 0 < (rounded - exact).norm() < 2e-3 * exact.norm()


def test_half_of_a_whole_network_is_half_as_large(
    original_checkpoint: Path, tmp_path: Path
) -> None:
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    argv = [str(original_checkpoint), str(whole), "--config-file", "market_mobilenetv2.yml"]
    assert main([*argv, "MODEL.DEVICE", "cpu"]) == 0
    assert main([str(whole), str(half), "--half"]) == 0
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    torch.manual_seed(0)
    coarse = torch.rand(2, 3, 16, 8) * 255
    images = torch.nn.functional.interpolate(coarse, (256, 128), mode="bilinear")
    with torch.inference_mode():
        networks = [load_model(model_config(path), str(path)).eval() for path in (whole, half)]
        exact, rounded = (network(images)[1] for network in networks)
    assert 0 < (rounded - exact).norm() < 2e-3 * exact.norm()


def test_average_of_checkpoints(trained: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    first, second = trained / "run" / "model_final.pth", tmp_path / "second.pth"
    data = torch.load(first, weights_only=True)
    moved = {k: v + 2 if v.is_floating_point() else v for k, v in data["model"].items()}
    torch.save({**data, "model": moved}, second)
    mean = tmp_path / "mean.safetensors"
    assert main([str(first), str(mean), "--average", str(second)]) == 0
    found, before = read_checkpoint(str(mean)), data["model"]
    assert found["record"]["averaged"] == 2
    key = "backbone.conv.0.weight"
    torch.testing.assert_close(found["model"][key], before[key] + 1)
    # Without it nothing is said of an average.
    assert "averaged" not in read_header(str(trained / "model.safetensors")).record
    del moved[key]
    torch.save({**data, "model": moved}, second)
    said = refused(main, first, tmp_path / "none.safetensors", "--average", second)
    assert "of different networks: backbone.conv.0.weight" in said
    said = refused(main, first, tmp_path / "none.safetensors", "--average", tmp_path / "no.pth")
    assert 'no.pth" is not there' in said
    # Another training of the same network.
    other = yaml.safe_dump({**yaml.safe_load(data["config"]), "SEED": 4})
    torch.save({**data, "config": other}, second)
    said = refused(main, first, tmp_path / "none.safetensors", "--average", second)
    assert f'"{first}" and "{second}" cannot be averaged' in said
    assert "SEED is 3 in the first and 4 in the second" in said
    assert "--other-trainings" in said
    # It is taken where it is asked for, and the file says what differed.
    larger = {k: 1.25 * v if v.is_floating_point() else v for k, v in data["model"].items()}
    torch.save({**data, "model": larger, "config": other}, second)
    assert main([str(first), str(mean), "--average", str(second), "--other-trainings"]) == 0
    assert read_header(str(mean)).record["trainings"] == [{}, {"SEED": 4}]
    # An evaluation of it says so, too: its config is that of the first alone.
    keys = ["DATASETS.ROOT", trained / "data", "MODEL.DEVICE", "cpu", "OUTPUT_DIR", tmp_path]
    assert evaluate.main([str(word) for word in ("--model", mean, *keys)]) == 0
    run = json.loads((tmp_path / "results.json").read_text())["run"]
    assert run["seed"] == 3 and run["trainings"] == [{}, {"SEED": 4}]
    assert (
        "trainings" not in json.loads((trained / "evaluated" / "results.json").read_text())["run"]
    )
    said = refused(main, first, tmp_path / "none.safetensors", "--other-trainings")
    assert "--other-trainings is for --average" in said
    # What would count twice, or less than the others, is refused.
    none = tmp_path / "none.safetensors"
    said = refused(main, first, none, "--average", second, "--average", f"{tmp_path}/./second.pth")
    assert "are one file: name each once" in said
    said = refused(main, first, none, "--average", mean)
    assert f'"{mean}" is the mean of several checkpoints already' in said
    assert "add --other-trainings" in said
    of_epochs = tmp_path / "of_epochs.safetensors"
    torch.save(data, tmp_path / "before.pth")
    assert main([str(first), str(of_epochs), "--average", str(tmp_path / "before.pth")]) == 0
    said = refused(main, first, none, "--average", of_epochs, "--other-trainings")
    assert f'"{of_epochs}" is the mean of several checkpoints already' in said
    assert "add --other-trainings" not in said
    said = refused(main, first, none, "--average", second, "--other-trainings", "SEED", "5")
    assert "SEED says how the first training was taught, with 3, and no mean changes" in said
    config = tmp_path / "other.yaml"
    config.write_text(yaml.safe_dump({**yaml.safe_load(data["config"]), "SEED": 9}))
    words = ("--average", second, "--other-trainings", "--config-file", config)
    assert "with 3, and no mean changes that: 9 cannot be" in refused(main, first, none, *words)
    # A mean of trainings counts as all of them, and a further one as one, wherever it stands.
    of_three, again = tmp_path / "three.safetensors", tmp_path / "again.pth"
    moved = {k: 1.5 * v if v.is_floating_point() else v for k, v in data["model"].items()}
    own = yaml.safe_dump({**yaml.safe_load(data["config"]), "SEED": 5})
    torch.save({**data, "model": moved, "config": own}, again)
    assert main([str(mean), str(of_three), "--average", str(again), "--other-trainings"]) == 0
    record = read_header(str(of_three)).record
    assert record["trainings"] == [{}, {"SEED": 4}, {"SEED": 5}] and record["averaged"] == 3
    sum_of = before[key] + torch.load(second, weights_only=True)["model"][key] + moved[key]
    torch.testing.assert_close(read_checkpoint(str(of_three))["model"][key], sum_of / 3)
    assert main([str(again), str(of_three), "--average", str(mean), "--other-trainings"]) == 0
    record = read_header(str(of_three)).record
    assert record["trainings"] == [{}, {"SEED": 3}, {"SEED": 4}] and record["averaged"] == 3
    torch.testing.assert_close(read_checkpoint(str(of_three))["model"][key], sum_of / 3)
    # A model file has no classifiers, and the mean needs none.
    third = tmp_path / "third.safetensors"
    assert main([str(second), str(third)]) == 0
    both = [str(first), str(tmp_path / "both.safetensors"), "--average", str(third)]
    assert main([*both, "--other-trainings"]) == 0
    state = read_checkpoint(both[1])["model"]
    torch.testing.assert_close(state[key], read_checkpoint(str(mean))["model"][key])
    # Keys may follow.
    torch.save(data, tmp_path / "copy.pth")
    keys = ["--average", str(tmp_path / "copy.pth"), "TEST.DSR.LAMBDA", "0.7"]
    assert main([str(first), str(mean), *keys]) == 0
    assert read_header(str(mean)).config["TEST"]["DSR"]["LAMBDA"] == 0.7
    assert not (tmp_path / "none.safetensors").exists()


def test_an_exported_file_is_exported_again(trained: Path, tmp_path: Path) -> None:
    again, half = tmp_path / "again.safetensors", tmp_path / "half.safetensors"
    assert main([str(trained / "model.safetensors"), str(again)]) == 0
    assert again.read_bytes() == (trained / "model.safetensors").read_bytes()
    assert main(["--half", str(again), str(half), "TEST.DSR.LAMBDA", "0.5"]) == 0
    before, after = (read_header(str(path)) for path in (again, half))
    assert after.record == before.record
    assert after.config["TEST"]["DSR"].pop("LAMBDA") == 0.5
    before.config["TEST"]["DSR"].pop("LAMBDA")
    assert after.config == before.config


def test_a_calibration_goes_along_where_distances_stay(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learnt, again = tmp_path / "learnt.safetensors", tmp_path / "again.safetensors"
    # Of an older version, which did not know all keys.
    state, header = read_model_file(str(trained / "model.safetensors"))
    del header.config["TEST"]["DSR"]["SHORTLIST"]
    write_model_file(str(learnt), state, CfgNode(header.config), header.record)
    write_calibration(str(learnt), {"kind": "fused"})
    for words, wanted in (
        ([], {"kind": "fused"}),
        (["--half", "MODEL.DEVICE", "cpu"], {"kind": "fused"}),
        # What distances do not depend on.
        (["TEST.DSR.LAMBDA_SELECTION", "oracle", "DATASETS.TESTS", "('A',)"], {"kind": "fused"}),
        (["TEST.DSR.LAMBDA", "0.25"], None),
        (["INPUT.KEEP_RATIO", "width"], None),
        (["--average", str(trained / "model.safetensors")], None),
    ):
        assert main([str(learnt), str(again), *words]) == 0
        assert read_header(str(again)).calibration == wanted, words
        assert ("calibration" in capsys.readouterr().err) == (wanted is None)


@pytest.fixture
def without_config(trained: Path, tmp_path: Path) -> Path:
    """The checkpoint as older versions and the original have written it, in a folder of its own."""
    data = read_checkpoint(str(trained / "run" / "model_final.pth"))
    torch.save({"model": data["model"]}, tmp_path / "old.pth")
    return tmp_path / "old.pth"


def test_the_config_of_the_checkpoint_comes_before_that_beside_it(
    trained: Path, tmp_path: Path, without_config: Path
) -> None:
    data = read_checkpoint(str(trained / "run" / "model_final.pth"))
    torch.save(data, tmp_path / "model.pth")
    config = yaml.safe_load((trained / "run" / "config.yaml").read_text())
    config["TEST"]["DSR"]["KAPPA"] = 0.125
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    kappa = {}
    for name in ("model.pth", "old.pth"):
        target = tmp_path / f"{name}.safetensors"
        assert main([str(tmp_path / name), str(target)]) == 0
        kappa[name] = read_header(str(target)).config["TEST"]["DSR"]["KAPPA"]
    assert kappa == {"model.pth": 0.001, "old.pth": 0.125}


def test_a_config_is_needed(
    without_config: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    target = tmp_path / "model.safetensors"
    said = refused(main, without_config, target)
    assert f'"{without_config}" does not hold the config' in said
    assert "give --config-file FILE" in said
    (tmp_path / "config.yaml").write_text("- no\n- config\n")
    assert 'config.yaml" is no YAML file of keys and values' in refused(
        main, without_config, target
    )
    keys = tiny.options(tmp_path, tmp_path)
    assert main([str(without_config), str(target), "--config-file", tiny.CONFIG, *keys]) == 0
    record = read_header(str(target)).record
    assert record == {"classes": 12, "data_sets": [SET], "held_out": 0, "seed": 0}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config-file", "demo.yml"], "does not fit the model of this config"),
        (["TEST.DSR.KAPPA", "0.0"], "TEST.DSR.KAPPA is 0.0"),
        (["TEST.DSR.KAPPPA", "0.1"], "Non-existent key: TEST.DSR.KAPPPA"),
        (["TEST.DSR.KAPPA"], "must come in pairs"),
        (["INPUT.SIZE_TEST", "[16,8]"], "INPUT.SIZE_TEST"),
    ],
)
def test_what_does_not_go_together_is_refused(
    trained: Path, tmp_path: Path, refused: Callable[..., str], words: list[str], said: str
) -> None:
    target = tmp_path / "model.safetensors"
    assert said in refused(main, trained / "run" / "model_final.pth", target, *words)
    assert not list(tmp_path.iterdir())


def test_files_that_are_none(trained: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    weights = trained / "run" / "model_final.pth"
    assert "end with .safetensors" in refused(main, weights, tmp_path / "model.pth")
    assert "is not there: make it" in refused(main, weights, tmp_path / "a" / "m.safetensors")
    absent, target = tmp_path / "absent.pth", tmp_path / "m.safetensors"
    assert f'the checkpoint "{absent}" is not there' in refused(main, absent, target)
    command = evaluate.main
    assert f'the model file "{target}" is not there' in refused(command, "--model", target)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.HEADS.DSR.KERNELS", "(1,)"),
        ("MODEL.BACKBONE.DEPTH", "0.5x"),
        ("MODEL.PIXEL_MEAN", "[0.0, 0.0, 0.0]"),
        ("MODEL.WEIGHTS", "other.pth"),
    ],
)
def test_it_stays_the_network_that_it_is(
    trained: Path, refused: Callable[..., str], key: str, value: str
) -> None:
    said = refused(evaluate.main, "--model", trained / "model.safetensors", key, value)
    assert said.startswith(f"error: {key} is ") and "and cannot be " in said
    assert "leave it out or" in said


def test_what_changes_no_network_is_taken(trained: Path) -> None:
    keys = ["MODEL.HEADS.DSR.KERNELS", "(1,2)", "MODEL.CHANNELS_LAST", "off", "SEED", "9"]
    cfg = model_config(trained / "model.safetensors", *keys, "INPUT.KEEP_RATIO", "width")
    assert (cfg.MODEL.CHANNELS_LAST, cfg.SEED, cfg.INPUT.KEEP_RATIO) == ("off", 9, "width")
    assert str(trained / "model.safetensors") == cfg.MODEL.WEIGHTS
    assert cfg.is_frozen()


def test_two_configs_are_refused(trained: Path, refused: Callable[..., str]) -> None:
    both = ["--model", trained / "model.safetensors", "--config-file", "demo.yml"]
    assert "--model brings its own config" in refused(evaluate.main, *both)


def test_an_evaluation_by_it_is_checked(
    trained: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    keys = ["--model", trained / "model.safetensors", "OUTPUT_DIR", tmp_path, "MODEL.DEVICE", "cpu"]
    assert "TEST.DSR.KAPPA is 0.0" in refused(evaluate.main, *keys, "TEST.DSR.KAPPA", "0.0")
    absent = [*keys, "DATASETS.ROOT", tmp_path, "DATASETS.TESTS", "('Market1501',)"]
    assert str(tmp_path) in refused(evaluate.main, *absent)


def test_what_it_was_trained_on_need_not_be_known_here(trained: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "model.safetensors")
    names = ["DATASETS.NAMES", "('People',)"]
    assert main([str(trained / "run" / "model_final.pth"), path, *names]) == 0
    cfg = model_config(Path(path), "DATASETS.TESTS", f"('{SET}',)")
    assert cfg.DATASETS.NAMES == ("People",)
    check_config(cfg, 1, eval_only=True)
    with pytest.raises(ValueError, match=r"DATASETS\.NAMES holds 'People'"):
        check_config(cfg, 1, eval_only=False)


def test_training_from_it_starts_classifiers_anew(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = {"MODEL__WEIGHTS": trained / "model.safetensors", "SOLVER__MAX_EPOCH": 1}
    with pytest.raises(SystemExit):
        tiny.run(trained / "data", tmp_path, **start)
    assert "--allow-partial starts them anew" in capsys.readouterr().err.splitlines()[-1]
    start |= {"SOLVER__BASE_LR": 1e-9, "TEST__EVAL_PERIOD": 0}
    tiny.run(trained / "data", tmp_path, "--allow-partial", **start)
    before, after = (
        read_checkpoint(str(folder / "model_final.pth"))["model"]
        for folder in (trained / "run", tmp_path)
    )
    name = "heads.occ_unit.mask_layer.weight"
    torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)
    assert (after["heads.weight"] - before["heads.weight"]).abs().max() > 1e-3


def test_a_comparison_takes_it(trained: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    model, output = str(trained / "model.safetensors"), str(tmp_path)
    argv = ["--output", output, "--tests", SET, "--system", "A", model, "TEST.DSR.FILL", "50.0"]
    argv += ["--opts", "MODEL.DEVICE", "cpu", "DATASETS.ROOT", str(trained / "data")]
    assert compare.main(argv) == 0
    found = json.loads((tmp_path / "compare.json").read_text())["A"]
    assert found[SET]["fused"] == results(trained / "evaluated")["fused"]
    assert found["run"]["config"]["TEST"]["DSR"]["FILL"] == 50
    assert found["run"]["config"]["MODEL"]["WEIGHTS"] == model


def test_lambda_is_not_selected_by_people_that_it_has_seen(
    trained: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """The file holds no classifiers to count these by, but says how many there were."""
    keys = tiny.options(trained / "data", tmp_path, DATASETS__HELD_OUT=2, DATASETS__TESTS=None)
    argv = ["--config-file", tiny.CONFIG, *keys, "MODEL.WEIGHTS", trained / "model.safetensors"]
    said = refused(select_lambda.main, *argv)
    classes = read_header(str(trained / "model.safetensors")).record["classes"]
    assert f"was trained on {classes} identities, but without DATASETS.HELD_OUT 2" in said
    # One that does not say it is refused, too.
    state, header = read_model_file(str(trained / "model.safetensors"))
    del header.record["classes"]
    silent = tmp_path / "silent.safetensors"
    write_model_file(str(silent), state, CfgNode(header.config), header.record)
    argv[-1] = silent
    assert "holds no classifiers" in refused(select_lambda.main, *argv)
    assert not (tmp_path / "lambda.json").exists()
