"""What is no model is refused in one line that names it, by Python and by every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import safetensors.torch
import torch
from PIL import Image

from partialreid.commands import calibrate, evaluate, index, rankings, search
from partialreid.keys.released_model import RELEASED, models_folder
from partialreid.search.partial_reid import PartialReID
from tests import made_onnx


def text(path: Path) -> None:
    path.write_text("no model\n")


def cut(path: Path) -> None:
    whole = (models_folder() / RELEASED).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def folder(path: Path) -> None:
    path.mkdir()


def absent(path: Path) -> None:
    pass


def checkpoint(path: Path) -> None:
    torch.save({"model": {"a": torch.ones(2)}}, path)


def cut_checkpoint(path: Path) -> None:
    checkpoint(path)
    path.write_bytes(path.read_bytes()[:-100])


def state_alone(path: Path) -> None:
    torch.save({"a": torch.ones(2)}, path)


def tensor(path: Path) -> None:
    torch.save(torch.ones(2), path)


class Anything:
    """What could run code when it is loaded."""


def objects(path: Path) -> None:
    torch.save({"model": Anything()}, path)


def weights_of_others(path: Path) -> None:
    safetensors.torch.save_file({"a": torch.ones(2)}, path)


def onnx_of_others(path: Path) -> None:
    made_onnx.write(path, {})
    onnx.checker.check_model(path)


WRONG: list[tuple[str, Callable[[Path], None], str]] = [
    ("m.safetensors", text, "is no file of safetensors"),
    ("m.safetensors", cut, "is cut short or damaged"),
    ("m.safetensors", checkpoint, "is no file of safetensors"),
    ("m.safetensors", weights_of_others, "holds no config of partialreid"),
    ("m.safetensors", folder, "is a folder: name the file in it"),
    ("m.safetensors", absent, "is not there: correct its name, or name none to take the released"),
    ("m.onnx", text, "is no file of ONNX"),
    ("m.onnx", onnx_of_others, "holds no config of partialreid"),
    ("m.onnx", folder, "is a folder: name the file in it"),
    ("m.pth", text, "is not a checkpoint of torch"),
    ("m.pth", cut_checkpoint, "cannot be read; it may be truncated or of another kind"),
    ("m.pth", state_alone, "no state dict under the key 'model'"),
    ("m.pth", tensor, "no state dict under the key 'model'"),
    ("m.pth", objects, "which could run code when loaded"),
    ("m.pth", checkpoint, "no config.yaml beside it: put it there"),
    ("m.pth", absent, "is not there: correct its name"),
    ("m", text, "is not a checkpoint of torch"),
    ("m", folder, "is a folder: name the file in it"),
]


@pytest.mark.parametrize(
    ("name", "make", "said"), WRONG, ids=[f"{name}-{make.__name__}" for name, make, _ in WRONG]
)
def test_it_is_refused_in_one_line(
    name: str,
    make: Callable[[Path], None],
    said: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / name, tmp_path / "out"
    make(path)
    with pytest.raises(ValueError) as caught:
        PartialReID.load(path)
    message = str(caught.value)
    assert f'"{path}"' in message and said in message and "\n" not in message
    Image.new("RGB", (20, 40)).save(tmp_path / "a.png")
    crop, model = str(tmp_path / "a.png"), ["--model", str(path)]
    for command, words in (
        (search, [crop, "--gallery", crop, "--out", str(out), *model]),
        (index, [str(tmp_path), "--into", str(out), *model]),
        (evaluate, [*model, "OUTPUT_DIR", str(out)]),
        (rankings, [*model, "OUTPUT_DIR", str(out)]),
    ):
        with pytest.raises(SystemExit) as ended:
            command.main(words)
        assert ended.value.code == 2
        (line,) = [text for text in capfd.readouterr().err.splitlines() if "error: " in text]
        assert line == f"error: {message}"
    assert not out.exists()


@pytest.mark.parametrize("name", ["m.pth", "m.onnx"])
def test_a_calibration_goes_into_a_model_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    text(path)
    with pytest.raises(SystemExit):
        calibrate.main([str(path), "--people", "SyntheticPartial"])
    said = capsys.readouterr().err
    assert f'is written into a model file, and "{path}" is none: make one' in said
