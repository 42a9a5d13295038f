"""Weights of timm's networks: of a file, of timm's cache, and what is said where they are not had.

Nothing is downloaded: timm's hub is switched off, its cache an empty folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch
from fastreid.modeling.backbones import build_backbone
from torch import Tensor, nn

from partialreid.backbones.pretrained_files import check_pretrained
from partialreid.commands.train import main
from partialreid.engine.trainer import PartialTrainer
from partialreid.runtime.errors import sentence
from tests import tiny

CHANNELS = {"test_resnet": 96, "test_vit": 64}


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which timm's hub keeps what it has downloaded, empty, and no network."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


def weights(name: str, **options: Any) -> dict[str, Tensor]:
    """Random weights, and statistics, of a network with a classifier, as timm publishes them."""
    torch.manual_seed(1)
    state = timm.create_model(name, num_classes=1000, **options).state_dict()
    return {k: torch.rand_like(v) if v.is_floating_point() else v for k, v in state.items()}


def config(make_config, path: Path | str, name: str = "test_resnet", **changes: Any) -> Any:
    cfg = make_config("MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.BACKBONE.TIMM", name)
    cfg.MODEL.BACKBONE.FEAT_DIM = CHANNELS.get(name.partition(".")[0], 2048)
    cfg.MODEL.BACKBONE.PRETRAIN, cfg.MODEL.BACKBONE.PRETRAIN_PATH = True, str(path)
    for key, value in changes.items():
        cfg.MODEL.BACKBONE[key] = value
    return cfg


def check_loaded(model: nn.Module, state: dict[str, Tensor], classifier: str) -> None:
    """Each tensor of the network is the file's, and nothing else is in it but the classifier."""
    own = model.network.state_dict()
    assert own.keys() == {k for k in state if not k.startswith(f"{classifier}.")}
    for k, value in own.items():
        assert torch.equal(value, state[k]), k


@pytest.mark.parametrize("last_stride", [1, 2])
@pytest.mark.parametrize("kind", ["pth", "safetensors", "checkpoint", "headless"])
def test_a_file_of_timms(make_config, tmp_path: Path, kind: str, last_stride: int) -> None:
    state = weights("test_resnet")
    path = tmp_path / "weights.pth"
    if kind == "safetensors":
        path = path.with_suffix(".safetensors")
        safetensors.torch.save_file(state, path)
    elif kind == "checkpoint":  # of timm's own training, in several processes
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    else:
        headless = {k: v for k, v in state.items() if not k.startswith("fc.")}
        torch.save(headless if kind == "headless" else state, path)
    cfg = config(make_config, path, LAST_STRIDE=last_stride)
    before = torch.get_rng_state()
    check_pretrained(cfg)
    assert torch.equal(torch.get_rng_state(), before)
    model = build_backbone(cfg)
    check_loaded(model, state, "fc")
    # The file's tensors are not kept a second time.
    assert not any(isinstance(value, dict) for value in model.network.pretrained_cfg.values())


def test_positions_of_another_size_are_interpolated(make_config, tmp_path: Path) -> None:
    state = weights("test_vit", img_size=224)
    torch.save(state, tmp_path / "weights.pth")
    model = build_backbone(config(make_config, tmp_path / "weights.pth", "test_vit"))
    own = model.network.state_dict()
    positions = state.pop("pos_embed")
    assert positions.shape == (1, 14 * 14 + 1, 64) and own["pos_embed"].shape[1] == 10 * 10 + 1
    assert torch.equal(own["pos_embed"][:, 0], positions[:, 0])
    # An interpolation keeps the mean of a patch of positions, about.
    torch.testing.assert_close(
        own["pos_embed"][:, 1:].mean(1), positions[:, 1:].mean(1), atol=0.02, rtol=0
    )
    for k, value in state.items():
        assert k.startswith("head.") or torch.equal(own[k], value), k


def without_last(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in state.items() if k != "layer4.0.conv2.weight"}


def with_nan(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**state, "conv1.0.weight": torch.full_like(state["conv1.0.weight"], float("nan"))}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not a file"),
        (b"<html>404</html>", "cannot be read"),
        ([torch.zeros(1)], "cannot be read"),
        ({"encoder.weight": torch.zeros(2)}, "holds other weights than those of timm's test_res"),
        ("test_vit", "holds other weights than those of timm's test_resnet"),
        ("resnet10t", "holds other weights than those of timm's test_resnet"),
        (without_last, r"holds other weights .*Missing key.*layer4\.0\.conv2\.weight"),
        (with_nan, r"holds NaN or infinite numbers in 1 of \d+ tensors, .* is conv1\.0\.weight"),
    ],
)  # fmt: skip
def test_a_file_of_something_else(make_config, tmp_path: Path, content: Any, said: str) -> None:
    """timm, as FastReID, would start from random weights where names are missing."""
    path = tmp_path / "weights.pth"
    if callable(content):
        torch.save(content(weights("test_resnet")), path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(weights(content) if isinstance(content, str) else content, path)
    cfg = config(make_config, path)
    for step in (check_pretrained, build_backbone):
        with pytest.raises((FileNotFoundError, ValueError), match=said) as caught:
            step(cfg)
        message = str(caught.value)
        assert message.startswith(f'MODEL.BACKBONE.PRETRAIN_PATH "{path}"')
        assert "MODEL.BACKBONE.PRETRAIN False" in message and "\n" not in message
        assert len(message) < 700


def test_the_path_does_not_matter_without_pretraining(make_config) -> None:
    build_backbone(config(make_config, "absent.pth", PRETRAIN=False))


@pytest.mark.parametrize("name", ["test_resnet", "test_resnet.r160_in1k"])
def test_weights_that_timm_has_downloaded(make_config, hub: Path, name: str) -> None:
    """Under the full name and, the first of those that are published, without it."""
    state = weights("test_resnet")
    folder = hub / "models--timm--test_resnet.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("a" * 40)
    (folder / "snapshots" / ("a" * 40)).mkdir(parents=True)
    safetensors.torch.save_file(state, folder / "snapshots" / ("a" * 40) / "model.safetensors")
    cfg = config(make_config, "", name)
    check_pretrained(cfg)
    check_loaded(build_backbone(cfg), state, "fc")


# Of the last there is nothing published.
@pytest.mark.parametrize("name", ["test_resnet", "test_vit.r160_in1k", "mobilenetv2_035"])
def test_weights_that_cannot_be_had(make_config, name: str) -> None:
    cfg = config(make_config, "", name)
    with pytest.raises(RuntimeError) as caught:
        check_pretrained(cfg)
    said = sentence(caught.value)
    assert said is not None and "\n" not in said
    assert said.startswith(f"the pretrained weights of timm's {name} could not be downloaded (")
    assert "set MODEL.BACKBONE.PRETRAIN_PATH to a file" in said
    assert said.endswith("MODEL.BACKBONE.PRETRAIN False to start from random weights.")


def test_a_first_run_without_network_ends_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the data set is drawn, and with nothing left behind."""
    changes = {
        "MODEL__BACKBONE__NAME": "build_timm_backbone",
        "MODEL__BACKBONE__TIMM": "test_resnet",
        "MODEL__BACKBONE__FEAT_DIM": 96,
        "MODEL__BACKBONE__PRETRAIN": True,
    }
    arguments = tiny.options(tmp_path / "data", tmp_path / "out", **changes)
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", tiny.CONFIG, *arguments])
    assert caught.value.code == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    for part in ("timm's test_resnet could not be downloaded", "PRETRAIN_PATH"):
        assert part in said[0]
    assert not list((tmp_path / "out").glob("*.pth")) and not (tmp_path / "data").exists()


def test_a_trainer_needs_the_weights_before_the_data(make_config, tmp_path: Path) -> None:
    cfg = config(make_config, tmp_path / "absent.pth")
    cfg.DATASETS.ROOT, cfg.DATASETS.NAMES = str(tmp_path / "absent"), ("Market1501",)
    cfg.OUTPUT_DIR, cfg.TEST.DSR.ENABLED = str(tmp_path / "out"), False
    with pytest.raises(FileNotFoundError, match=r'PRETRAIN_PATH ".*absent\.pth" is not a file'):
        PartialTrainer(cfg)
