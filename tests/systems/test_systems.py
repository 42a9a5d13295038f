"""The systems of the results table: each trains, its losses go down, and it evaluates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.utils.events import EventStorage

from partialreid.commands.train import build_parser
from partialreid.config import config_value
from partialreid.engine.configuration import setup_config
from partialreid.engine.inference import load_model
from partialreid.engine.trainer import PartialTrainer
from tests import small_systems, tiny

CONFIGS = Path("projects/PartialReID/configs")
SYSTEMS: dict[str, dict[str, Any]] = {
    "DSR (CVPR 2018)": {
        "MODEL__META_ARCHITECTURE": "DSR2018",
        "MODEL__HEADS__NAME": "DSR2018Head",
        "MODEL__HEADS__DSR__STRIDE": 1,
        "MODEL__LOSSES__NAME": "('CrossEntropyLoss',)",
        "TEST__DSR__CODES": "lasso",
        "TEST__DSR__DISTANCE": "reconstruction",
    },
    "SFR": {
        "MODEL__META_ARCHITECTURE": "DSR2018",
        "MODEL__HEADS__NAME": "DSR2018Head",
        "MODEL__HEADS__DSR__STRIDE": 1,
        "MODEL__HEADS__DSR__POOL": "avg",
        "MODEL__LOSSES__NAME": "('CrossEntropyLoss',)",
        "MODEL__LOSSES__VERIFICATION__CODES": "ridge",
    },
    "FPR (ICCV 2019)": {
        "MODEL__META_ARCHITECTURE": "FPRBaseline",
        "INPUT__OCCLUSION__ENABLED": True,
        "TEST__DSR__SQUARED": True,
    },
    "FastReID-DSR": {},
    "ours": {
        "MODEL__META_ARCHITECTURE": "ReconstructionBaseline",
        "MODEL__BACKBONE__WITH_IBN": True,
        "MODEL__LOSSES__NAME": "('CrossEntropyLoss',)",
        "INPUT__OCCLUSION__ENABLED": True,
        "SOLVER__AMP__ENABLED": True,
    },
    # As reconstruction.yml is: queries stay whole, and images are made small and large again.
    "ours as shipped": {
        "MODEL__META_ARCHITECTURE": "ReconstructionBaseline",
        "MODEL__BACKBONE__WITH_IBN": False,
        "MODEL__LOSSES__NAME": "('CrossEntropyLoss',)",
        "INPUT__CJ__ENABLED": True,
        "INPUT__OCCLUSION__ENABLED": True,
        "INPUT__SHRINK__ENABLED": True,
        "INPUT__CUT__PROB": 0.0,
        "SOLVER__AMP__ENABLED": True,
    },
}
OURS = {"loss_cls", "loss_fore_cls", "loss_foreground", "loss_reconstruction"}
LOSSES = {
    "DSR (CVPR 2018)": {"loss_cls", "loss_verification"},
    "SFR": {"loss_cls", "loss_verification"},
    "FPR (ICCV 2019)": {
        *("loss_cls", "loss_fore_cls", "loss_triplet", "loss_fore_triplet"),
        "loss_foreground",
    },
    "FastReID-DSR": {"loss_cls", "loss_fore_cls", "loss_triplet", "loss_fore_triplet"},
    "ours": OURS,
    "ours as shipped": OURS,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("synthetic")


@pytest.mark.slow
@pytest.mark.usefixtures("as_trained")
@pytest.mark.parametrize("system", SYSTEMS)
def test_trains_and_evaluates(system: str, root: Path, tmp_path: Path) -> None:
    results = tiny.run(root, tmp_path, **SYSTEMS[system])
    records = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    logged = {key for record in records for key in record if key.startswith("loss_")}
    assert logged == LOSSES[system]
    report = results["SyntheticPartial"]
    assert 0 < report["reconstruction"]["mAP"] < 100
    # The saved checkpoint evaluates to the same numbers; and takes images of several sizes.
    changes = {**SYSTEMS[system], "MODEL__WEIGHTS": tmp_path / "model_final.pth"}
    again = tiny.run(root, tmp_path / "again", "--eval-only", **changes)
    for distance in ("global", "reconstruction", "fused"):
        assert again["SyntheticPartial"][distance] == report[distance]
    unstretched = tiny.run(
        root, tmp_path / "kept", "--eval-only", **changes, INPUT__KEEP_RATIO="width"
    )["SyntheticPartial"]
    assert unstretched["reconstruction"] != report["reconstruction"]
    assert 0 < unstretched["reconstruction"]["mAP"] < 100


@pytest.mark.slow(minutes=0.05)
@pytest.mark.parametrize("system", SYSTEMS)
def test_loss_goes_down_on_a_batch(system: str, root: Path, tmp_path: Path) -> None:
    keys = tiny.options(root, tmp_path, **SYSTEMS[system], SOLVER__WARMUP_ITERS=0)
    cfg = setup_config(build_parser().parse_args(["--config-file", tiny.CONFIG, *keys]))
    trainer = PartialTrainer(cfg)
    batch = next(iter(trainer.data_loader))
    losses = []
    with EventStorage(0):
        for _ in range(3):
            torch.manual_seed(0)  # the same cut
            parts = trainer.model(batch)
            loss = sum(parts.values())
            trainer.optimizer.zero_grad()
            loss.backward()
            trainer.optimizer.step()
            losses.append({name: float(part.detach()) for name, part in parts.items()})
    assert set(losses[0]) == LOSSES[system]
    assert sum(losses[1].values()) < sum(losses[0].values())
    assert sum(losses[2].values()) < sum(losses[1].values())


# What each config trains.
ARCHITECTURES = {
    "dsr_cvpr18": "DSR2018",
    "fpr_iccv19": "FPRBaseline",
    "market_mobilenetv2": "PartialBaseline",
    "market_long": "PartialBaseline",
    "dsr_long": "DSR2018",
    "fpr_long": "FPRBaseline",
    "reconstruction": "ReconstructionBaseline",
}


def shipped(name: str) -> Any:
    """A config of the package, on a CPU, without weights of ImageNet."""
    options = ["--config-file", str(CONFIGS / f"{name}.yml"), "MODEL.DEVICE", "cpu"]
    options += ["MODEL.BACKBONE.PRETRAIN", "False", "MODEL.HEADS.NUM_CLASSES", "7"]
    return setup_config(build_parser().parse_args(options))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_configs_build_their_system(name: str, tmp_path: Path) -> None:
    cfg = shipped(name)
    from fastreid.modeling.meta_arch import build_model

    model = build_model(cfg).eval()
    assert type(model).__name__ == ARCHITECTURES[name]
    path = tmp_path / "model.pth"
    torch.save({"model": model.state_dict()}, path)
    model = load_model(cfg, str(path)).eval()
    with torch.no_grad():
        features, columns, weights = model(torch.rand(2, 3, 256, 128) * 255)
    assert features.shape == (2, 1280)
    assert columns.shape[2] == weights.shape[1]
    torch.testing.assert_close(weights.sum(1), torch.ones(2))
    if ARCHITECTURES[name] == "DSR2018":
        # 8 x 4 windows of the probe; the three larger scales besides in the gallery.
        assert columns.shape[2] == 70
        assert (weights > 0).sum(1).tolist() == [32, 32]


@pytest.mark.parametrize(("name", "channels"), [("test_resnet", 96), ("test_vit", 64)])
@pytest.mark.parametrize("system", ["DSR", "FPR", "FastReID-DSR", "ours"])
def test_each_takes_a_network_of_timm(system: str, name: str, channels: int) -> None:
    keys = small_systems.of_timm(name, channels, last_stride=1)
    cfg = small_systems.config("cpu", *small_systems.SYSTEMS[system], *keys)
    model, *_ = small_systems.network(cfg)
    with EventStorage(0):
        losses = model(small_systems.batch(0))
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    gradients = [p.grad for p in model.backbone.parameters() if p.requires_grad]
    assert all(found is not None and found.isfinite().all() for found in gradients)


def test_ours_as_shipped_is_the_config() -> None:
    """What is trained above is what reconstruction.yml says, in other sizes."""
    cfg = shipped("reconstruction")
    for name, value in SYSTEMS["ours as shipped"].items():
        assert str(config_value(cfg, name.replace("__", "."))) == str(value), name
