"""The loader of files of ONNX: what it gives, what it refuses and in which words."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from partialreid.engine.checkpoint import read_checkpoint
from partialreid.engine.inference import load_model
from partialreid.engine.model_file import read_header, write_model_file
from partialreid.engine.model_header import FORMAT, HEADER
from partialreid.engine.onnx_network import SMALLEST, OnnxNetwork, load_onnx
from partialreid.partialbaseline import FlippedOutputs, HeadOutputs
from partialreid.runtime.device_batches import device_of
from tests import made_onnx

REASONS = (
    *("is cut short or damaged", "holds no config of partialreid"),
    "does not say how small an image may be",
)
RECORD = {"epoch": 3, "seed": 5}


@pytest.fixture
def path(tmp_path: Path, make_config: Callable[..., Any]) -> str:
    made_onnx.write(tmp_path / "model.onnx", made_onnx.metadata(make_config("SEED", 5), RECORD))
    return str(tmp_path / "model.onnx")


def test_it_is_called_as_a_network_is(path: str) -> None:
    torch.manual_seed(0)
    network, images = load_onnx(path), torch.rand(2, 3, 16, 8) * 255
    wanted = images.double().mean((2, 3))
    for batch in (
        images,
        {"images": images, "targets": torch.zeros(2)},
        images.double(),
        images.contiguous(memory_format=torch.channels_last),
        images.flip(3),
        torch.nn.Parameter(images),
    ):
        features, columns, weights = outputs = network(batch)
        assert type(outputs) is HeadOutputs
        torch.testing.assert_close(features.double(), wanted, rtol=1e-6, atol=0)
        assert torch.equal(columns, features[:, :, None].expand(2, 3, made_onnx.COLUMNS))
        assert torch.equal(weights, torch.full((2, made_onnx.COLUMNS), 0.25))
    whole = network(images.byte()).features
    torch.testing.assert_close(whole.double(), images.byte().double().mean((2, 3)))


def test_it_is_a_module_in_evaluation_without_parameters_on_the_cpu(path: str) -> None:
    network = load_onnx(path)
    assert not network.training
    assert not list(network.parameters()) and not list(network.buffers())
    assert device_of(network) == torch.device("cpu")
    before = network(torch.ones(1, 3, 8, 4)).features
    assert torch.equal(network.train()(torch.ones(1, 3, 8, 4)).features, before)


def test_it_takes_torchs_threads(path: str) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert load_onnx(path)._session.get_session_options().intra_op_num_threads == 3
    finally:
        torch.set_num_threads(before)


def test_its_header_is_that_of_a_model_file(
    path: str, tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    other = str(tmp_path / "model.safetensors")
    write_model_file(other, {}, make_config("SEED", 5), RECORD)
    assert load_onnx(path).header == read_header(other)


def test_a_flip_test_gives_its_own_outputs(tmp_path: Path, make_config: Callable[..., Any]) -> None:
    path = tmp_path / "model.onnx"
    made_onnx.write(path, made_onnx.metadata(make_config("TEST.FLIP.ENABLED", True)))
    assert type(load_onnx(str(path))(torch.ones(1, 3, 8, 4))) is FlippedOutputs


@pytest.mark.parametrize("shape", [(1, 3, 7, 4), (1, 3, 8, 3), (1, 1, 8, 4), (3, 8, 4)], ids=str)
def test_images_of_another_shape(path: str, shape: tuple[int, ...]) -> None:
    network = load_onnx(path)
    assert network.smallest == (8, 4)
    with pytest.raises(ValueError) as caught:
        network(torch.zeros(shape))
    assert str(caught.value) == (
        f'the network of "{path}" takes images of shape (B, 3, H, W), H from 8 and W from 4 on, '
        f"not {shape}."
    )


def refusal(path: Path | str, load: Callable[..., object] = load_onnx) -> str:
    with pytest.raises(ValueError) as caught:
        load(str(path))
    said = str(caught.value)
    assert f'"{path}"' in said and "\n" not in said
    return said


def test_a_file_that_is_cut_short(path: str) -> None:
    data = Path(path).read_bytes()
    said = set()
    # At every byte where the graph ends and its texts begin, and of the last text.
    texts = data.index(HEADER.encode())
    around = (*range(texts - 10, texts + 10), *range(len(data) - 40, len(data)))
    for length in (*range(0, texts, 50), *around):
        Path(path).write_bytes(data[:length])
        (reason,) = [reason for reason in REASONS if reason in refusal(path)]
        said.add(reason)
    assert said == set(REASONS)


def test_a_file_of_another_kind(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    torch.save({"model": {}}, path)
    assert "is no file of ONNX" in refusal(path)
    assert "is not there" in refusal(tmp_path / "absent.onnx")
    assert not "".join(capfd.readouterr())


def test_onnx_of_others(tmp_path: Path, make_config: Callable[..., Any]) -> None:
    path = tmp_path / "model.onnx"
    for texts in ({}, {HEADER: "no JSON"}, {SMALLEST: "[8, 4]"}):
        made_onnx.write(path, texts)
        assert "holds no config of partialreid" in refusal(path)
    known = made_onnx.metadata(make_config())
    for smallest in ("no JSON", "8", "[8]", '["a", 4]'):
        made_onnx.write(path, {**known, SMALLEST: smallest})
        assert "does not say how small an image may be" in refusal(path)
    newer = {HEADER: json.dumps({"format": FORMAT + 1, "version": "9.1"})}
    made_onnx.write(path, newer)
    assert f"format {FORMAT + 1}, written by partialreid 9.1" in refusal(path)


def test_without_onnx_runtime_the_command_is_named(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # importing it is an error
    assert "`python -m pip install onnxruntime`" in refusal(path)


def test_it_is_no_checkpoint(path: str) -> None:
    assert "can be run and nothing else" in refusal(path, read_checkpoint)


def test_it_is_the_model_of_its_config_alone(
    path: str, make_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = ("MODEL.BACKBONE.PRETRAIN", False, "MODEL.CHANNELS_LAST", "off", "SEED", 6)
    assert isinstance(load_model(make_config(*changed), path), OnnxNetwork)
    for key, value in (
        ("MODEL.HEADS.DSR.KERNELS", (1, 2)),
        ("MODEL.PIXEL_MEAN", [0.0, 0.0, 0.0]),
        ("TEST.FLIP.ENABLED", True),
    ):
        with pytest.raises(ValueError, match=rf"^{key} is .* in \"{path}\" and .* one network"):
            load_model(make_config(key, value), path)
    monkeypatch.setenv("HOME", str(Path(path).parent))
    assert load_model(make_config(), "~/model.onnx").header.record == RECORD


def test_the_file_by_hand_is_valid(path: str) -> None:
    onnx.checker.check_model(path, full_check=True)
