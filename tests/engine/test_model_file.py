"""Model files: what they hold, what they leave out, and what is refused in which words."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
import yaml
from torch import Tensor, nn

from partialreid.engine.checkpoint import load_weights, read_checkpoint
from partialreid.engine.model_file import (
    read_header,
    read_model_file,
    write_model_file,
)
from partialreid.engine.model_header import FORMAT, HEADER, without_machine
from partialreid.keys.config_files import PATHS, merge_tree
from partialreid.keys.unread_keys import leaves

RECORD = {"epoch": 3, "iteration": 40, "seed": 5, "data_sets": ["Market1501"], "classes": 6}


def weights() -> dict[str, Tensor]:
    """A state dict with a convolution in channels_last, batch norm, a view and classifiers."""
    torch.manual_seed(0)
    matrix = torch.randn(8, 8)
    return {
        "backbone.conv.weight": torch.randn(64, 32, 3, 3).to(memory_format=torch.channels_last),
        "backbone.depthwise.weight": torch.randn(1000, 1, 3, 3),
        # More than float16 can hold.
        "backbone.bn.running_var": torch.rand(16) * 1e6,
        "backbone.bn.num_batches_tracked": torch.tensor(7),
        "heads.occ_unit.mask_layer.weight": matrix[:4],
        "heads.occ_unit.other.weight": matrix.t(),
        "heads.weight": torch.randn(6, 8),
        "heads.weight_occ": torch.randn(6, 8),
    }


@pytest.fixture
def written(tmp_path: Path, make_config: Callable[..., Any]) -> Path:
    path = tmp_path / "model.safetensors"
    write_model_file(str(path), weights(), make_config("SEED", 5), RECORD)
    return path


def test_weights_come_back_to_the_last_bit_without_classifiers(written: Path) -> None:
    state, header = read_model_file(str(written))
    wanted = weights()
    assert set(state) == set(wanted) - {"heads.weight", "heads.weight_occ"}
    for name, value in state.items():
        assert value.dtype == wanted[name].dtype
        assert torch.equal(value, wanted[name]), name
    assert header.record == RECORD


def test_the_header_is_read_alone(written: Path) -> None:
    header = read_header(str(written))
    assert header == read_model_file(str(written))[1]
    with safetensors.safe_open(str(written), framework="pt") as file:
        found = json.loads(file.metadata()[HEADER])
    assert found["format"] == FORMAT
    assert found["version"] == header.version
    assert yaml.safe_load(found["config"]) == header.config


def test_the_config_comes_back_without_what_is_of_a_machine(
    tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    cfg = make_config("INPUT.KEEP_RATIO", "fit", "TEST.DSR.MEMORY_GB", 2.5, "MODEL.WEIGHTS", "/a/b")
    cfg.merge_from_list(["MODEL.HEADS.DSR.KERNELS", (1, 3), "DATASETS.TESTS", ("PartialREID",)])
    cfg.OUTPUT_DIR = cfg.DATASETS.ROOT = cfg.MODEL.BACKBONE.PRETRAIN_PATH = str(tmp_path)
    cfg.KD.MODEL_WEIGHTS = [str(tmp_path)]
    path = tmp_path / "model.safetensors"
    write_model_file(str(path), weights(), cfg, RECORD)
    assert str(tmp_path).encode() not in path.read_bytes()
    other = make_config("DATASETS.ROOT", "mine", "MODEL.WEIGHTS", "mine.pth")
    merge_tree(other, read_header(str(path)).config, str(path))
    before = dict(leaves(cfg))
    for key, value in leaves(other):
        if key not in (*PATHS, "MODEL.DEVICE"):
            assert value == before[key] and type(value) is type(before[key]), key
    # What was there stays.
    assert (other.DATASETS.ROOT, other.MODEL.WEIGHTS) == ("mine", "mine.pth")
    assert other.KD.MODEL_WEIGHTS == make_config().KD.MODEL_WEIGHTS


def test_without_machine_takes_nothing_else() -> None:
    tree = {"MODEL": {"DEVICE": "cuda", "WEIGHTS": "x", "HEADS": {"NAME": "A"}}, "SEED": 1}
    assert without_machine(tree) == {"MODEL": {"HEADS": {"NAME": "A"}}, "SEED": 1}
    assert tree["MODEL"]["DEVICE"] == "cuda"  # type: ignore[index]


def test_folders_of_data_sets_keep_their_own_names_alone() -> None:
    names = ["Market1501", "folder:/home/anna/my people/", "folder:~/shopOccluded", "folder:a.csv"]
    kept = ["Market1501", "folder:my people", "folder:shopOccluded", "folder:a.csv"]
    sets = {"NAMES": names, "TESTS": tuple(names), "HELD_OUT": 2}
    wanted = {"NAMES": kept, "TESTS": kept, "HELD_OUT": 2}
    assert without_machine({"DATASETS": sets}) == {"DATASETS": wanted}


def test_half_rounds_what_is_large_and_keeps_what_is_small(
    written: Path, tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    path = tmp_path / "half.safetensors"
    write_model_file(str(path), weights(), make_config(), RECORD, half=True)
    state, _ = read_model_file(str(path))
    assert set(state) == set(weights()) - {"heads.weight", "heads.weight_occ"}
    for name, value in state.items():
        wanted = weights()[name]
        assert value.dtype == wanted.dtype
        if name == "backbone.conv.weight":
            step = wanted.abs().amax((1, 2, 3), keepdim=True) / 32767
            assert not torch.equal(value, wanted)
            assert ((value - wanted).abs() <= 0.5001 * step).all()
        else:
            assert torch.equal(value, wanted), name
    scales = 4 * 64
    assert size_of_weights(written) - size_of_weights(path) == 2 * 64 * 32 * 3 * 3 - scales


def size_of_weights(path: Path) -> int:
    """Bytes of a file of safetensors behind its header."""
    data = path.read_bytes()
    return len(data) - 8 - int.from_bytes(data[:8], "little")


def test_half_takes_what_float16_cannot_hold(
    tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    state = weights()
    state["backbone.conv.weight"][0, 0, 0, 0] = 1e5
    path = tmp_path / "half.safetensors"
    write_model_file(str(path), state, make_config(), RECORD, half=True)
    assert read_model_file(str(path))[0]["backbone.conv.weight"][0, 0, 0, 0] == pytest.approx(1e5)


@pytest.mark.parametrize("half", [False, True])
def test_an_infinite_weight_is_refused(
    half: bool, tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    state = weights()
    state["backbone.conv.weight"][0, 0, 0, 0] = float("inf")
    path = tmp_path / "model.safetensors"
    with pytest.raises(ValueError, match=r"1 of 6 tensors.*backbone\.conv\.weight.*earlier"):
        write_model_file(str(path), state, make_config(), RECORD, half=half)
    assert not list(tmp_path.iterdir())


def test_a_file_of_format_1_has_its_float16_read(written: Path) -> None:
    """As they were written before two bytes were whole numbers."""
    with safetensors.safe_open(str(written), framework="pt") as file:
        header = {**json.loads(file.metadata()[HEADER]), "format": 1}
    kept = {"backbone.conv.weight": weights()["backbone.conv.weight"].half().contiguous()}
    safetensors.torch.save_file(kept, str(written), {HEADER: json.dumps(header)})
    state, _ = read_model_file(str(written))
    assert list(state) == list(kept)
    assert torch.equal(state["backbone.conv.weight"], kept["backbone.conv.weight"].float())


def test_whole_numbers_without_scales_are_no_weights(written: Path) -> None:
    with safetensors.safe_open(str(written), framework="pt") as file:
        header = file.metadata()[HEADER]
    safetensors.torch.save_file({"a.weight": torch.ones(2).short()}, str(written), {HEADER: header})
    with pytest.raises(ValueError, match=r"model\.safetensors\" is damaged: a\.weight is of whole"):
        read_model_file(str(written))


def test_the_same_model_is_the_same_file(
    written: Path, tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    again = tmp_path / "again.safetensors"
    write_model_file(str(again), weights(), make_config("SEED", 5), RECORD)
    assert again.read_bytes() == written.read_bytes()


def test_weights_outlive_their_file(written: Path, make_config: Callable[..., Any]) -> None:
    state, _ = read_model_file(str(written))
    written.write_bytes(bytes(written.stat().st_size))
    assert torch.equal(state["backbone.conv.weight"], weights()["backbone.conv.weight"])


def test_a_full_disk_leaves_the_file_as_it_was(
    written: Path, monkeypatch: pytest.MonkeyPatch, make_config: Callable[..., Any]
) -> None:
    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    before = written.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", lambda path, mode: Full(path, mode))
        with pytest.raises(OSError, match=r"No space left on device.*an earlier one stays"):
            write_model_file(str(written), weights(), make_config("SEED", 6), RECORD)
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == [written.name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.pth", "let it end with .safetensors"),
        ("absent/model.safetensors", "the folder of .* is not there"),
    ],
)
def test_a_wrong_place_is_refused(
    tmp_path: Path, name: str, said: str, make_config: Callable[..., Any]
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        write_model_file(str(tmp_path / name), weights(), make_config(), RECORD)
    assert f'"{tmp_path / name}"' in str(caught.value)


def refusal(path: Path) -> str:
    """What is said of a file, by whichever function reads it; the message names it."""
    said = set()
    for read in (read_header, read_model_file, read_checkpoint):
        with pytest.raises(ValueError) as caught:
            read(str(path))
        said.add(str(caught.value))
    (message,) = said
    assert f'"{path}"' in message and "\n" not in message
    return message


@pytest.mark.parametrize("length", [0, 4, 100, 5000, -1])
def test_a_file_that_is_cut_short(written: Path, length: int) -> None:
    written.write_bytes(written.read_bytes()[:length])
    assert "is cut short or damaged" in refusal(written)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"model": weights()}, path)
    assert "is no file of safetensors" in refusal(path)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {HEADER: "no JSON"},
        {HEADER: "[]"},
        {HEADER: json.dumps({"format": "one", "version": "0"})},
        {HEADER: json.dumps({"format": 1, "version": "0", "config": "a: 1"})},
        {HEADER: json.dumps({"format": 1, "version": "0", "config": None, "record": {}})},
        {HEADER: json.dumps({"format": 1, "version": "0", "config": "- a list", "record": {}})},
        {HEADER: json.dumps({"format": 1, "version": "0", "config": "a: [", "record": {}})},
    ],
    ids=str,
)
def test_safetensors_of_others(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({"a.weight": torch.zeros(2)}, path, metadata)
    message = refusal(path)
    assert "holds no config of partialreid" in message
    assert "`partialreid export` writes one" in message


def test_a_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = json.dumps({"format": FORMAT + 1, "version": "9.1"})
    safetensors.torch.save_file({"a.weight": torch.zeros(2)}, path, {HEADER: header})
    message = refusal(path)
    assert f"format {FORMAT + 1}, written by partialreid 9.1" in message
    assert "install a newer one" in message


def test_it_is_read_as_a_checkpoint(written: Path, tmp_path: Path) -> None:
    data = read_checkpoint(str(written))
    assert set(data) == {"model", "config", "record"}
    assert yaml.safe_load(data["config"]) == read_header(str(written)).config
    assert data["record"] == RECORD
    assert torch.equal(data["model"]["backbone.conv.weight"], weights()["backbone.conv.weight"])


def test_infinite_weights_are_refused(written: Path) -> None:
    with safetensors.safe_open(str(written), framework="pt") as file:
        metadata = file.metadata()
    state, _ = read_model_file(str(written))
    state["backbone.bn.running_var"][0] = torch.inf
    safetensors.torch.save_file(state, written, metadata)
    with pytest.raises(ValueError, match=r"infinite numbers in 1 of 6 .*running_var"):
        read_checkpoint(str(written))


class Classified(nn.Module):
    """A network with a classifier of each branch."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = nn.Linear(3, 3)
        self.heads = nn.Linear(3, classes, bias=False)
        self.heads.weight_occ = nn.Parameter(torch.zeros(classes, 3))


def test_classifiers_of_nobody_may_be_absent() -> None:
    wanted, model = nn.Linear(3, 3).state_dict(), Classified(0)
    state = {f"backbone.{name}": value for name, value in wanted.items()}
    load_weights(model, state, "x.safetensors", allow_partial=False)
    assert torch.equal(model.backbone.weight, wanted["weight"])
    # Nothing else may.
    with pytest.raises(ValueError, match=r"in the model only: backbone\.bias"):
        load_weights(model, {"backbone.weight": wanted["weight"]}, "x", allow_partial=False)


def test_a_training_needs_classifiers() -> None:
    wanted, model = nn.Linear(3, 3).state_dict(), Classified(4)
    state = {f"backbone.{name}": value for name, value in wanted.items()}
    with pytest.raises(ValueError) as caught:
        load_weights(model, state, "x.safetensors", allow_partial=False)
    assert str(caught.value) == (
        '"x.safetensors" holds no classifiers (heads.weight, heads.weight_occ), which a training '
        "needs: --allow-partial starts them anew."
    )
    before = model.heads.weight.detach().clone()
    load_weights(model, state, "x.safetensors", allow_partial=True)
    assert torch.equal(model.backbone.bias, wanted["bias"])
    assert torch.equal(model.heads.weight, before)
