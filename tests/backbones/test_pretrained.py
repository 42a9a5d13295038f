"""ImageNet weights: from torch hub's cache, never through gdown, and never half or not at all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from fastreid.modeling.backbones import build_backbone
from fastreid.modeling.backbones.mobilenet import MobileNetV2
from torch import Tensor, nn

from partialreid.backbones.mobilenetv2_weights import rename_torchvision_mobilenetv2
from partialreid.backbones.pretrained import hub_weights
from partialreid.backbones.pretrained_files import check_pretrained
from partialreid.commands.train import main
from partialreid.engine.trainer import PartialTrainer
from partialreid.runtime.errors import sentence
from tests import tiny

IBN = "resnet50_ibn_a-d9d0bb7b.pth"
TORCHVISION = "mobilenet_v2-7ebf99e0.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch hub, no gdown and no network."""

    def no_network(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    monkeypatch.setitem(sys.modules, "gdown", None)  # importing it is an error
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def build(make_config, name: str, depth: str, **keys: object) -> nn.Module:
    cfg = make_config("MODEL.BACKBONE.NAME", f"build_{name}_backbone")
    cfg.MODEL.BACKBONE.DEPTH = depth
    cfg.MODEL.BACKBONE.PRETRAIN = True
    for key, value in keys.items():
        cfg.MODEL.BACKBONE[key] = value
    return build_backbone(cfg)


def torchvision_mobilenet() -> nn.Module:
    """Torchvision's MobileNetV2 with random weights and random batch-norm statistics."""
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v2(weights=None).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return model


def test_gdown_would_fail() -> None:
    with pytest.raises(ImportError):
        __import__("gdown")


def test_ibn_weights_come_from_the_cache(make_config, cache: Path) -> None:
    weights = {
        "conv1.weight": torch.rand(64, 3, 7, 7),
        "layer1.0.bn1.IN.weight": torch.rand(32),
        "layer4.2.conv3.weight": torch.rand(2048, 512, 1, 1),
        "fc.weight": torch.rand(1000, 2048),
    }
    torch.save(weights, cache / IBN)
    model = build(make_config, "resnet", "50x", WITH_IBN=True).state_dict()
    del weights["fc.weight"]
    for name, value in weights.items():
        assert torch.equal(model[name], value), name


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_first_run_without_network_ends_in_one_sentence(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], processes: str
) -> None:
    """The config of MobileNetV2 as a stranger calls it, weights neither there nor to be had.

    It is said once, in two processes as in one, and before the data set is drawn.
    """
    changes = {"MODEL__BACKBONE__PRETRAIN": True, "MODEL__BACKBONE__DEPTH": "1.0x"}
    arguments = tiny.options(tmp_path / "data", tmp_path / "out", **changes)
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", "market_mobilenetv2.yml", "--num-gpus", processes, *arguments])
    assert caught.value.code == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    for part in ("could not be downloaded", f'"{cache / TORCHVISION}"', "PRETRAIN_PATH"):
        assert part in said[0]
    assert not list((tmp_path / "out").glob("*.pth"))
    assert not (tmp_path / "out" / "metrics.json").exists()
    assert not (tmp_path / "data").exists() and not list(cache.iterdir())


def test_a_trainer_needs_the_weights_before_the_data(make_config, tmp_path: Path) -> None:
    cfg = make_config("DATASETS.ROOT", str(tmp_path / "absent"), "DATASETS.NAMES", ("Market1501",))
    cfg.MODEL.BACKBONE.PRETRAIN, cfg.MODEL.BACKBONE.DEPTH = True, "18x"
    cfg.MODEL.BACKBONE.FEAT_DIM, cfg.OUTPUT_DIR = 512, str(tmp_path / "out")
    cfg.TEST.DSR.ENABLED = False
    with pytest.raises(RuntimeError, match=r"could not be downloaded.*BACKBONE\.PRETRAIN_PATH"):
        PartialTrainer(cfg)


def test_download_is_kept(make_config, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"conv1.weight": torch.rand(64, 3, 7, 7)}
    fetched: list[str] = []

    def download(url: str, file: str, *_: object, **__: object) -> None:
        fetched.append(url)
        torch.save(weights, file)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        model = build(make_config, "resnet", "18x")
        assert torch.equal(model.state_dict()["conv1.weight"], weights["conv1.weight"])
    assert fetched == ["https://download.pytorch.org/models/resnet18-5c106cde.pth"]
    assert [file.name for file in cache.iterdir()] == ["resnet18-5c106cde.pth"]


def test_processes_download_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads stand for processes: each locks the file by itself."""
    weights = {"conv1.weight": torch.rand(2)}
    fetched: list[str] = []

    def download(url: str, file: str, *_: object, **__: object) -> None:
        fetched.append(url)
        time.sleep(0.3)  # the others come to the file while it is being fetched
        torch.save(weights, file)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(hub_weights, ["https://host/some.pth"] * 4))
    assert all(torch.equal(state["conv1.weight"], weights["conv1.weight"]) for state in got)
    assert fetched == ["https://host/some.pth"]
    assert [file.name for file in cache.iterdir()] == ["some.pth"]


def test_the_check_downloads_for_those_that_come_later(
    make_config, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {"conv1.weight": torch.rand(64, 3, 7, 7)}
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda url, file, *_, **__: torch.save(weights, file)
    )
    cfg = make_config("MODEL.BACKBONE.NAME", "build_resnet_backbone", "MODEL.BACKBONE.DEPTH", "18x")
    check_pretrained(cfg)
    assert not list(cache.iterdir())
    cfg.MODEL.BACKBONE.PRETRAIN = True
    state = torch.get_rng_state()
    check_pretrained(cfg)
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    assert torch.equal(build_backbone(cfg).state_dict()["conv1.weight"], weights["conv1.weight"])


@pytest.mark.parametrize(
    ("name", "depth"),
    [("vit", "base"), ("repvgg", "A0"), ("shufflenetv2", "1.0x"), ("resnest", "50x"),
     ("mobilenetv3", "small"), ("osnet", "x1_0"), ("resnext", "101x")],
)  # fmt: skip
def test_weights_that_are_not_to_be_had_are_one_sentence(
    make_config, name: str, depth: str
) -> None:
    cfg = make_config(
        "MODEL.BACKBONE.NAME", f"build_{name}_backbone", "MODEL.BACKBONE.PRETRAIN", True
    )
    cfg.MODEL.BACKBONE.DEPTH = depth
    with pytest.raises((RuntimeError, ValueError)) as caught:
        check_pretrained(cfg)
    said = sentence(caught.value)
    assert said is not None and "\n" not in said
    assert "MODEL.BACKBONE.PRETRAIN_PATH" in said and "MODEL.BACKBONE.PRETRAIN False" in said


@pytest.mark.parametrize(
    ("name", "depth", "file"),
    [("resnet", "50x", IBN), ("resnext", "101x", "resnext101_ibn_a-6ace051d.pth"),
     ("mobilenetv2_stride", "1.0x", TORCHVISION)],
)  # fmt: skip
def test_without_network(make_config, cache: Path, name: str, depth: str, file: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        build(make_config, name, depth, WITH_IBN=True)
    message = str(caught.value)
    assert f'"{cache / file}"' in message
    assert "no network" in message
    assert "MODEL.BACKBONE.PRETRAIN_PATH" in message
    assert "MODEL.BACKBONE.PRETRAIN False" in message
    assert list(cache.iterdir()) == []


def test_backbone_without_published_weights(make_config) -> None:
    with pytest.raises(ValueError, match=r"osnet_ibn_x0_25: set MODEL\.BACKBONE\.PRETRAIN_PATH"):
        build(make_config, "osnet", "x0_25", WITH_IBN=True)


def test_osnet_from_google_drive(make_config, cache: Path) -> None:
    """Torch hub cannot fetch it; a file under the name that FastReID uses is found."""
    file = cache / "osnet_x0_25_imagenet.pth"
    with pytest.raises(RuntimeError, match="Google Drive") as caught:
        build(make_config, "osnet", "x0_25")
    assert f'"{file}"' in str(caught.value)
    weights = {"conv1.conv.weight": torch.rand(16, 3, 7, 7)}
    torch.save(weights, file)
    model = build(make_config, "osnet", "x0_25").state_dict()
    assert torch.equal(model["conv1.conv.weight"], weights["conv1.conv.weight"])


def test_damaged_file_in_the_cache(make_config, cache: Path) -> None:
    torch.save({"conv1.weight": torch.rand(64, 3, 7, 7)}, cache / IBN)
    content = (cache / IBN).read_bytes()
    (cache / IBN).write_bytes(content[: len(content) // 2])
    with pytest.raises(RuntimeError, match=rf'{IBN}" cannot be read .*Remove it'):
        build(make_config, "resnet", "50x", WITH_IBN=True)


def test_renamed_mobilenet_computes_the_same() -> None:
    theirs = torchvision_mobilenet()
    state = rename_torchvision_mobilenetv2(theirs.state_dict())
    ours = MobileNetV2("BN").eval()
    assert state.keys() == ours.state_dict().keys()
    ours.load_state_dict(state, strict=True)
    images = torch.rand(2, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs.features(images))


def test_mobilenet_weights_are_renamed_once(make_config, cache: Path) -> None:
    theirs = torchvision_mobilenet().state_dict()
    torch.save(theirs, cache / TORCHVISION)

    def first_and_last() -> tuple[Tensor, Tensor]:
        state = build(make_config, "mobilenetv2_stride", "1.0x").state_dict()
        return state["features.0.0.weight"], state["conv.0.weight"]

    wanted = (theirs["features.0.0.weight"], theirs["features.18.0.weight"])
    assert all(map(torch.equal, first_and_last(), wanted))
    assert sorted(f.name for f in cache.iterdir()) == [TORCHVISION, "partialreid_mobilenetv2.pth"]
    (cache / TORCHVISION).unlink()
    assert all(map(torch.equal, first_and_last(), wanted))


def test_damaged_renamed_weights(make_config, cache: Path) -> None:
    (cache / "partialreid_mobilenetv2.pth").write_bytes(b"half")
    with pytest.raises(
        RuntimeError, match=r'mobilenetv2\.pth" cannot be read .*Remove it'
    ) as caught:
        build(make_config, "mobilenetv2_stride", "1.0x")
    assert "\n" not in str(caught.value)


def test_other_widths_have_no_weights(make_config) -> None:
    with pytest.raises(ValueError, match=r"MobileNetV2 0\.5x: set MODEL\.BACKBONE\.PRETRAIN_PATH"):
        build(make_config, "mobilenetv2_stride", "0.5x")


def test_own_file(make_config, tmp_path: Path) -> None:
    weights = {"features.0.0.weight": torch.rand(32, 3, 3, 3)}
    torch.save(weights, tmp_path / "own.pth")
    path = str(tmp_path / "own.pth")
    model = build(make_config, "mobilenetv2_stride", "1.0x", PRETRAIN_PATH=path).state_dict()
    assert torch.equal(model["features.0.0.weight"], weights["features.0.0.weight"])


def test_torchvision_names_are_told_apart(make_config, cache: Path, tmp_path: Path) -> None:
    """FastReID would load not one of them, and say nothing."""
    torch.save(torchvision_mobilenet().state_dict(), tmp_path / "own.pth")
    path = str(tmp_path / "own.pth")
    with pytest.raises(ValueError, match="parameter names of torchvision") as caught:
        build(make_config, "mobilenetv2_stride", "1.0x", PRETRAIN_PATH=path)
    assert f'"{cache / TORCHVISION}"' in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "is not a file"), (b"<html>404</html>", "cannot be read"),
     ({"model": {"conv1.weight": torch.zeros(1)}}, "is no state dict"),
     ([torch.zeros(1)], "is no state dict")],
)  # fmt: skip
def test_bad_pretrain_path(make_config, tmp_path: Path, content: object, problem: str) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises((FileNotFoundError, ValueError)) as caught:
        build(make_config, "mobilenetv2_stride", "1.0x", PRETRAIN_PATH=str(path))
    assert f'MODEL.BACKBONE.PRETRAIN_PATH "{path}" {problem}' in str(caught.value)


def test_path_does_not_matter_without_pretraining(make_config) -> None:
    build(make_config, "mobilenetv2_stride", "0.25x", PRETRAIN=False, PRETRAIN_PATH="absent.pth")


def test_weights_of_another_network_are_refused(make_config, tmp_path: Path) -> None:
    """FastReID would start from random weights without a word, or end in a trace."""
    path = tmp_path / "weights.pth"
    cfg = make_config("MODEL.BACKBONE.NAME", "build_resnet_backbone", "MODEL.BACKBONE.DEPTH", "18x")
    cfg.MODEL.BACKBONE.PRETRAIN, cfg.MODEL.BACKBONE.PRETRAIN_PATH = True, str(path)
    own = build_backbone(make_config("MODEL.BACKBONE.DEPTH", "18x")).state_dict()
    other = build_backbone(make_config("MODEL.BACKBONE.DEPTH", "50x")).state_dict()
    for state, said in (
        ({"encoder.layers.0.weight": torch.ones(2)}, "no name is one of its"),
        (other, r"layer1\.0\.conv1\.weight is \(64, 64, 1, 1\), not \(64, 64, 3, 3\)"),
    ):
        torch.save(state, path)
        with pytest.raises(ValueError, match=rf'weights\.pth" does .*DEPTH 18x .*\({said}'):
            check_pretrained(cfg)
    # A classifier and a missing layer are no other network.
    own.pop("layer4.1.conv2.weight")
    torch.save({**own, "fc.weight": torch.ones(1000, 512)}, path)
    check_pretrained(cfg)


@pytest.mark.parametrize(
    ("wrapped", "said"),
    [(lambda own: {f"module.{name}": value for name, value in own.items()},
      'its names begin with "module.", which this network does not take off'),
     (lambda own: {"state_dict": own}, "they lie a level below"),
     (lambda own: dict(list(own.items())[:3]), r"of its \d+ tensors it has 3"),
     (lambda own: own | {next(iter(own)): torch.rand(32, 1, 3, 3)}, r"\(32, 1, 3, 3\), not ")],
    ids=["a prefix", "a level below", "three tensors", "one grey"],
)  # fmt: skip
@pytest.mark.parametrize(("name", "depth"), [("mobilenetv2_stride", "1.0x"), ("resnet", "18x")])
def test_weights_that_are_not_loaded_are_refused(
    make_config, tmp_path: Path, name: str, depth: str, wrapped: Callable, said: str
) -> None:
    """All of these names, but a few, are the network's: it would start from random weights."""
    torch.manual_seed(0)
    own = build(make_config, name, depth, PRETRAIN=False).state_dict()
    cfg = make_config(
        "MODEL.BACKBONE.NAME", f"build_{name}_backbone", "MODEL.BACKBONE.DEPTH", depth
    )
    cfg.MODEL.BACKBONE.PRETRAIN, path = True, tmp_path / "weights.pth"
    cfg.MODEL.BACKBONE.PRETRAIN_PATH = str(path)
    torch.save(own, path)
    check_pretrained(cfg)
    torch.save(wrapped(own), path)
    with pytest.raises(ValueError, match=rf"as this network reads them \(.*{said}"):
        check_pretrained(cfg)


def test_a_prefix_that_a_network_takes_off_is_taken(make_config, tmp_path: Path) -> None:
    """FastReID's ShuffleNetV2 reads what the trainings of its authors wrote."""
    torch.manual_seed(0)
    own = build(make_config, "shufflenetv2", "1.0x", PRETRAIN=False).state_dict()
    cfg = make_config("MODEL.BACKBONE.NAME", "build_shufflenetv2_backbone")
    cfg.MODEL.BACKBONE.DEPTH, cfg.MODEL.BACKBONE.PRETRAIN = "1.0x", True
    path = tmp_path / "weights.pth"
    cfg.MODEL.BACKBONE.PRETRAIN_PATH = str(path)
    torch.save({"state_dict": {f"module.{name}": value for name, value in own.items()}}, path)
    check_pretrained(cfg)
    torch.save(own, path)
    with pytest.raises(ValueError, match=r"KeyError: 'state_dict'"):
        check_pretrained(cfg)
