"""`partialreid export` into ONNX, by the command itself, and what the commands do with the file."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from partialreid import reconstruction_distance
from partialreid.commands import calibrate, compare, evaluate, export, index, rankings, search
from partialreid.engine import configuration
from partialreid.engine.checkpoint import read_checkpoint
from partialreid.engine.configuration import model_config, setup_config
from partialreid.engine.inference import load_model
from partialreid.engine.model_file import read_header, write_calibration
from partialreid.engine.onnx_network import load_onnx
from partialreid.search.calibration import Calibration, Logistic
from partialreid.search.partial_reid import PartialReID
from tests import made_onnx, tiny
from tests.onnx_equality import assert_same, needs_exporter, random_network
from tests.paths import ROOT

TEXT = (ROOT / "docs" / "onnx.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SET = "SyntheticPartial"
SIZES = [(128, 64), (57, 57), (96, 83)]
LEARNT = Calibration("fused", *[Logistic(0.5, -2.0, 1.0)] * 4, "nobody")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "partialreid", *words]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the demo's network, untrained, evaluated with a flip test."""
    from fastreid.config import get_cfg

    from partialreid import add_partialreid_config

    folder = tmp_path_factory.mktemp("untrained")
    cfg = get_cfg()
    add_partialreid_config(cfg)
    cfg.merge_from_file("projects/PartialReID/configs/demo.yml")
    few = ["DATASETS.SYNTHETIC.TRAIN_IDS", 2, "DATASETS.SYNTHETIC.TEST_IDS", 10]
    cfg.merge_from_list(["MODEL.DEVICE", "cpu", "MODEL.HEADS.NUM_CLASSES", 5, *few])
    cfg.merge_from_list(["TEST.FLIP.ENABLED", True, "DATALOADER.NUM_WORKERS", 0])
    state = random_network(cfg).state_dict()
    torch.save({"model": state, "epoch": 7, "config": cfg.dump()}, folder / "model_final.pth")
    return folder / "model_final.pth"


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with demo.onnx and demo.safetensors, and what the command said of the first.

    The first is written from the second, in which the weights are rounded, and which is calibrated.
    """
    folder = checkpoint.parent
    path = folder / "demo.safetensors"
    assert export.main([str(checkpoint), str(path), "--half", "MODEL.DEVICE", "cpu"]) == 0
    write_calibration(str(path), LEARNT.as_plain())
    done = command(folder, "export", "demo.safetensors", "demo.onnx", "--format", "onnx")
    assert done.returncode == 0, done.stderr
    return folder, done


@needs_exporter
@pytest.mark.slow(minutes=0.3)
def test_the_command_says_two_lines_and_writes_one_file(
    exported: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = exported
    size = (folder / "demo.onnx").stat().st_size / 1e6
    assert done.stdout == f"written to demo.onnx: {size:.1f} MB\n"
    (line,) = done.stderr.splitlines()
    assert line.endswith("tracing the network, which takes about half a minute")
    names = {path.name for path in folder.iterdir()}
    assert names == {"model_final.pth", "demo.safetensors", "demo.onnx"}


@needs_exporter
@pytest.mark.slow(minutes=0.01)
def test_it_is_the_model_file_in_another_form(exported: tuple[Path, Any]) -> None:
    folder, _ = exported
    path = str(folder / "demo.safetensors")
    network = load_onnx(str(folder / "demo.onnx"))
    assert network.header == read_header(path)
    assert network.header.record["epoch"] == 7
    assert network.header.calibration == LEARNT.as_plain()
    assert_same(network, load_model(model_config(path, []), path).eval(), SIZES)


@needs_exporter
@pytest.mark.slow(minutes=0.05)
def test_it_evaluates_as_the_model_file_does(
    exported: tuple[Path, Any], tmp_path: Path, refused: Callable[..., str]
) -> None:
    folder, _ = exported
    keys = ["DATASETS.ROOT", str(tmp_path / "data"), "MODEL.DEVICE", "cpu"]
    systems = []
    for name in ("demo.safetensors", "demo.onnx"):
        systems += ["--system", name, str(folder / name)]
    output = tmp_path / "compared"
    words = ["--output", str(output), *systems, "--tests", SET, "--opts", *keys]
    assert compare.main(words) == 0
    first, second = json.loads((output / "compare.json").read_text()).values()
    output = tmp_path / "evaluated"
    words = ["--model", str(folder / "demo.onnx"), *keys, "OUTPUT_DIR", str(output)]
    assert evaluate.main(words) == 0
    alone = json.loads((output / "results.json").read_text())[SET]
    shown = ["--queries", "1", "--length", "2", "--explain", "1"]
    assert rankings.main([*shown, *words, "TEST.DSR.LAMBDA_SELECTION", "fixed"]) == 0
    page = (output / "rankings" / f"{SET}.html").read_text(encoding="utf-8")
    (query,) = json.loads(page.split('id="data">')[1].split("</script>")[0])["queries"]
    assert any(match["reason"] for match in query["answers"])
    assert all(match["verdict"] for match in query["answers"])
    for distance in ("global", "reconstruction"):
        found = alone[distance]["mAP"]
        assert second[SET][distance]["mAP"] == found
        # Two images that are equally near may change places.
        assert found == pytest.approx(first[SET][distance]["mAP"], abs=0.2)
    flipped = [*keys, "TEST.FLIP.ENABLED", "False", "OUTPUT_DIR", tmp_path]
    said = refused(evaluate.main, "--model", folder / "demo.onnx", *flipped)
    assert "TEST.FLIP.ENABLED is True in" in said and "is one network" in said


@needs_exporter
@pytest.mark.slow(minutes=0.01)
def test_it_searches_and_explains_as_the_model_file_does(
    exported: tuple[Path, Any], tmp_path: Path
) -> None:
    crops = tmp_path / "crops"
    crops.mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((60, 120 - 10 * number)).save(crops / f"{number}.png")
    answers = []
    for name in ("demo.safetensors", "demo.onnx"):
        kept, out = tmp_path / f"{name}.index", tmp_path / name
        keys = ["--model", str(exported[0] / name), "--set", "MODEL.DEVICE", "cpu"]
        assert index.main([str(crops), "--into", str(kept), *keys]) == 0
        words = [str(crops / "0.png"), "--gallery", str(kept), "--out", str(out), "--explain", "2"]
        assert search.main([*words, *keys]) == 0
        pair = PartialReID.load(exported[0] / name).compare(crops / "0.png", crops / "1.png")
        whole = pair.distances["reconstruction"]
        assert sum(part.share for part in pair.parts) == pytest.approx(whole, rel=1e-4)
        answers.append(json.loads((out / "answers.json").read_text())["answers"][0]["matches"])
        page = (out / "index.html").read_text(encoding="utf-8")
        data = json.loads(page.split('id="data">')[1].split("</script>")[0])
        reasons = [bool(match["reason"]) for match in data["queries"][0]["answers"]]
        assert reasons == [True, True, False, False, False]
    first, second = answers
    assert len(first) == 5 and Path(first[0]["path"]).name == "0.png"
    for match, other in zip(first, second, strict=True):
        assert other["path"] == match["path"]
        assert other["distances"] == pytest.approx(match["distances"], abs=1e-3)
        assert other["probability"] == pytest.approx(match["probability"], abs=1e-3)


@needs_exporter
@pytest.mark.slow(minutes=0.01)
def test_the_example_runs_without_torch(exported: tuple[Path, Any]) -> None:
    folder, _ = exported
    sizes = {"half.jpg": (40, 44), "first.jpg": (50, 100), "second.jpg": (30, 90)}
    for number, (name, size) in enumerate(sizes.items()):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size).save(folder / name)
    blocked = "import sys; sys.modules.update(torch=None, partialreid=None, fastreid=None)\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + EXAMPLES[0]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    path = str(folder / "demo.safetensors")
    network = load_model(model_config(path, []), path).eval()

    def extract(name: str) -> list[torch.Tensor]:
        with Image.open(folder / name) as picture:
            width, height = picture.size
            scaled = picture.resize((64, max(64, 64 * height // width)))
        pixels = torch.from_numpy(np.asarray(scaled).copy()).permute(2, 0, 1)[None]
        with torch.inference_mode():
            feature, columns, weights = network(pixels)
        return [F.normalize(feature), F.normalize(columns, dim=1), weights]

    query = extract("half.jpg")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, *_ in lines] == ["first.jpg", "second.jpg"]
    for name, near, rebuilt in lines:
        other = extract(name)
        assert other[1].shape != query[1].shape
        assert float(near) == pytest.approx(1 - float(query[0] @ other[0].T), abs=1e-4)
        wanted = reconstruction_distance(query[1], other[1], query[2])
        assert float(rebuilt) == pytest.approx(float(wanted), abs=1e-3)
        assert float(wanted) > 0.01


@needs_exporter
@pytest.mark.slow(minutes=0.01)
def test_the_second_example_runs(
    exported: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(exported[0])
    exec(EXAMPLES[1], {})
    assert capsys.readouterr().out.endswith("(57, 57)\n")


def test_an_average_is_what_is_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = torch.load(checkpoint, weights_only=True)
    moved = {k: v + 2 if v.is_floating_point() else v for k, v in data["model"].items()}
    torch.save({**data, "model": moved}, tmp_path / "second.pth")
    seen: list[Any] = []

    def written(path: str, model: nn.Module, cfg: Any, record: dict[str, Any], _: None) -> None:
        seen.extend((model.state_dict(), record))
        Path(path).touch()

    monkeypatch.setattr(export, "write_onnx_file", written)
    monkeypatch.setattr(export, "check_onnx_export", lambda: None)
    words = [str(checkpoint), "mean.onnx", "--average", "second.pth", "MODEL.DEVICE", "cpu"]
    monkeypatch.chdir(tmp_path)
    assert export.main(words) == 0
    state, record = seen
    assert record["averaged"] == 2
    for name in ("backbone.stem.weight", "heads.occ_unit.mask_layer.weight"):
        torch.testing.assert_close(state[name], data["model"][name] + 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.safetensors", "--format", "onnx"], "let it end with .onnx"),
        (["model.onnx", "--format", "safetensors"], "let it end with .safetensors"),
        (["absent/model.onnx"], "is not there: make it"),
        (["model.onnx", "--half"], "--half is for *.safetensors"),
        (["model.onnx", "TEST.DSR.KAPPA", "0.0"], "TEST.DSR.KAPPA is 0.0"),
    ],
)
def test_what_does_not_go_together_is_refused(
    checkpoint: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(export, "check_onnx_export", lambda: None)
    monkeypatch.setattr(export, "write_onnx_file", lambda *_: pytest.fail("long work"))
    monkeypatch.chdir(tmp_path)
    assert said in refused(export.main, checkpoint, *words)
    assert not list(tmp_path.iterdir())


def test_without_the_packages_nothing_is_read(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    said = refused(export.main, tmp_path / "absent.pth", tmp_path / "model.onnx")
    assert "needs onnx: install it by `python -m pip install onnx`" in said


def test_the_commands_know_it(
    tmp_path: Path, make_config: Callable[..., Any], refused: Callable[..., str]
) -> None:
    path = tmp_path / "model.onnx"
    made_onnx.write(path, made_onnx.metadata(make_config("TEST.DSR.KAPPA", 0.5)))
    cfg = model_config(str(path), ["TEST.DSR.LAMBDA", "0.7"])
    assert (cfg.TEST.DSR.KAPPA, cfg.TEST.DSR.LAMBDA) == (0.5, 0.7)
    assert str(path) == cfg.MODEL.WEIGHTS
    args = argparse.Namespace(output=str(tmp_path), tests=[SET], opts=["MODEL.DEVICE", "cpu"])
    system = compare.config_of(args, ["A", str(path), "TEST.DSR.FILL", "50.0"])
    assert (str(path), 50) == (system.MODEL.WEIGHTS, system.TEST.DSR.FILL)
    said = refused(evaluate.main, "--model", path, "MODEL.HEADS.DSR.KERNELS", "(1,)")
    assert said.startswith("error: MODEL.HEADS.DSR.KERNELS is ")
    assert said.endswith("leave it out or export another file.")
    assert "can be run and nothing else" in refused(export.main, path, tmp_path / "m.safetensors")
    keys = tiny.options(tmp_path / "data", tmp_path, MODEL__WEIGHTS=path)
    assert "is one network" in refused(evaluate.main, "--config-file", tiny.CONFIG, *keys)
    said = refused(calibrate.main, path, "--twin", path)
    assert "a calibration is written into a model file, and " in said
    with pytest.raises(ValueError, match="can be run and nothing else"):
        read_checkpoint(str(path))


def test_it_runs_on_the_cpu_beside_a_gpu(
    tmp_path: Path, make_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "resolve_device", lambda _: "cuda")
    path = str(tmp_path / "model.onnx")
    made_onnx.write(tmp_path / "model.onnx", made_onnx.metadata(make_config()))
    assert model_config(path, []).MODEL.DEVICE == "cpu"
    for weights, device in ((path, "cpu"), ("model.pth", "cuda")):
        args = argparse.Namespace(config_file=tiny.CONFIG, opts=["MODEL.WEIGHTS", weights])
        assert device == setup_config(args).MODEL.DEVICE
