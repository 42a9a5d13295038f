"""Files of ONNX: equal to torch at all batches and sizes, and what is written or refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import pytest
import torch
from fastreid.config import get_cfg
from torch import nn

from partialreid import add_partialreid_config
from partialreid.engine import onnx_export
from partialreid.engine.model_header import HEADER
from partialreid.engine.onnx_export import OPSET, SAID, write_onnx_file
from partialreid.engine.onnx_network import SMALLEST, load_onnx
from tests import tiny
from tests.onnx_equality import assert_same, needs_exporter, random_network

# The smallest size comes to it, whose map is one window of the largest kind.
SIZES = [(128, 64), (71, 77)]
CLASSES = 37
IBN = (
    *("MODEL.BACKBONE.WITH_IBN", True, "MODEL.BACKBONE.LAST_STRIDE", 1),
    *("MODEL.BACKBONE.PRETRAIN", False, "MODEL.HEADS.NUM_CLASSES", CLASSES),
    *("MODEL.HEADS.DSR.KERNELS", (1, 4), "INPUT.SIZE_TEST", [128, 64], "MODEL.DEVICE", "cpu"),
)
MOBILENET, RESNET = "MobileNetV2-IBN, DSRHead", "ResNet-18-IBN, DSR2018Head"
NETWORKS = {
    MOBILENET: (
        *(*IBN, "MODEL.BACKBONE.NAME", "build_mobilenetv2_stride_backbone"),
        *("MODEL.BACKBONE.DEPTH", "0.25x", "MODEL.BACKBONE.FEAT_DIM", 1280),
        *("MODEL.META_ARCHITECTURE", "PartialBaseline", "MODEL.HEADS.NAME", "DSRHead"),
        *("MODEL.CHANNELS_LAST", "on"),
    ),
    RESNET: (
        *(*IBN, "MODEL.BACKBONE.NAME", "build_resnet_backbone"),
        *("MODEL.BACKBONE.DEPTH", "18x", "MODEL.BACKBONE.FEAT_DIM", 512),
        *("MODEL.META_ARCHITECTURE", "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head"),
    ),
}
# Of numbers up to 30, behind fifty layers of random weights: rounding takes torch's own float32 as
# far as 0.0002 away from its float64.
RAW = {MOBILENET: 5e-4, RESNET: 1e-4}


class Written(NamedTuple):
    """A network, its config and its file, alone in a folder."""

    model: nn.Module
    cfg: Any
    path: Path


def config(*options: Any) -> Any:
    cfg = get_cfg()
    add_partialreid_config(cfg)
    cfg.merge_from_file(tiny.CONFIG)
    cfg.merge_from_list(list(options))
    return cfg


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    """A function that gives a network of `NETWORKS` with its file, written once."""
    written: dict[str, Written] = {}

    def once(name: str) -> Written:
        if name not in written:
            cfg = config(*NETWORKS[name])
            model, path = random_network(cfg), tmp_path_factory.mktemp("onnx") / "model.onnx"
            write_onnx_file(str(path), model, cfg, {"epoch": 3})
            written[name] = Written(model, cfg, path)
        return written[name]

    return once


@needs_exporter
@pytest.mark.slow(minutes=0.2)
@pytest.mark.parametrize("name", NETWORKS)
def test_it_computes_what_torch_computes(name: str, write: Callable[[str], Written]) -> None:
    model, _, path = write(name)
    network = load_onnx(str(path))
    assert_same(network, model, [*SIZES, network.smallest], RAW[name])


@needs_exporter
@pytest.mark.slow(minutes=0.01)
def test_what_is_in_it(write: Callable[[str], Written]) -> None:
    model, _, path = write(MOBILENET)
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    assert load_onnx(str(path)).header.record == {"epoch": 3}
    program = onnx.load(str(path))
    onnx.checker.check_model(program, full_check=True)
    assert {entry.domain: entry.version for entry in program.opset_import} == {"": OPSET}
    texts = {entry.key: entry.value for entry in program.metadata_props}
    assert "the network normalises the pixels" in texts["images"]
    assert set(texts) == {HEADER, SMALLEST, *SAID}
    # A map of four cells at stride 16.
    assert json.loads(texts[SMALLEST]) == [49, 49]
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*program.graph.input, *program.graph.output)
    }
    assert shapes == {
        "images": ["batch", 3, "height", "width"],
        "features": ["batch", 1280],
        "columns": ["batch", 1280, "columns"],
        "weights": ["batch", "columns"],
    }
    # All weights but the classifiers, which training alone reads.
    assert all(CLASSES not in tensor.dims for tensor in program.graph.initializer)
    needed = sum(value.nbytes for value in model.state_dict().values())
    needed -= 2 * CLASSES * 1280 * 4
    # Batch norm is part of the convolutions.
    assert 0.7 * needed < path.stat().st_size < 1.1 * needed
    # Nothing tells of the machine.
    data = path.read_bytes()
    for place in (torch.__file__, onnx_export.__file__, str(path.parent), "site-packages", ".py"):
        assert place.encode() not in data


@needs_exporter
@pytest.mark.slow(minutes=0.01)
def test_other_numbers_are_refused_and_the_earlier_file_stays(
    write: Callable[[str], Written], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cfg, path = write(MOBILENET)
    program = onnx.load(str(path))
    del program.metadata_props[:]
    large = max(program.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    numbers = onnx.numpy_helper.to_array(large)
    large.raw_data = (numbers * 1.01).tobytes()
    monkeypatch.setattr(onnx_export, "_traced", lambda *_: program)
    earlier = tmp_path / "model.onnx"
    earlier.write_bytes(b"earlier")
    with pytest.raises(ValueError, match=r"computes other features than torch .* by .*e-0"):
        write_onnx_file(str(earlier), model, cfg, {})
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"earlier"]


@needs_exporter
def test_what_torch_cannot_trace_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, prefer_deferred_runtime_asserts_over_guards: bool, **__: Any) -> None:
        raise RuntimeError("Constraints violated!\n\nFor more information, read\nall of this")

    monkeypatch.setattr(torch.export, "export", failing)
    cfg = config(*NETWORKS[MOBILENET])
    with pytest.raises(ValueError) as caught:
        write_onnx_file(str(tmp_path / "model.onnx"), random_network(cfg), cfg, {})
    said = str(caught.value)
    assert "MODEL.BACKBONE.NAME build_mobilenetv2_stride_backbone" in said and "\n" not in said
    assert "(Constraints violated! For more information, read all of this)" in said
    assert not list(tmp_path.iterdir())


def test_it_needs_packages_and_a_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg, path = config(*NETWORKS[MOBILENET]), str(tmp_path / "model.onnx")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxscript", None)
        with pytest.raises(ValueError, match=r"needs onnxscript: .*pip install onnxscript`"):
            write_onnx_file(path, nn.Identity(), cfg, {})
    with monkeypatch.context() as patch:
        patch.setattr(torch.export, "export", lambda model, args, *, dynamic_shapes=None: None)
        with pytest.raises(ValueError, match=r"^torch \S+ cannot write .*: install a newer one"):
            write_onnx_file(path, nn.Identity(), cfg, {})


@needs_exporter
def test_what_no_file_can_hold_is_not_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST", 1_000_000)
    monkeypatch.setattr(onnx_export, "_traced", lambda *_: pytest.fail("long work"))
    cfg, path = config(*NETWORKS[MOBILENET]), tmp_path / "model.onnx"
    with pytest.raises(ValueError, match=r"^\S+model\.onnx\" cannot be written: .*2 GB"):
        write_onnx_file(str(path), random_network(cfg), cfg, {})
    assert not list(tmp_path.iterdir())


@needs_exporter
def test_a_network_without_columns(tmp_path: Path) -> None:
    cfg = config("MODEL.META_ARCHITECTURE", "Baseline")
    with pytest.raises(ValueError, match=r"^MODEL\.META_ARCHITECTURE is Baseline, which gives"):
        write_onnx_file(str(tmp_path / "model.onnx"), nn.Identity(), cfg, {})


@pytest.mark.parametrize("name", ["model.safetensors", "absent/model.onnx"])
def test_a_wrong_place(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"let it end with \.onnx|the folder of .* is not there"):
        write_onnx_file(str(tmp_path / name), nn.Identity(), config(), {})
