"""FastReID's own way: get_cfg, add_partialreid_config, build_model, a trainer of one's own.

No command line and nothing that only it does.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.config import get_cfg
from fastreid.data.build import build_reid_test_loader
from fastreid.engine import DefaultPredictor, DefaultTrainer
from fastreid.modeling.meta_arch import build_model

from partialreid import DsrEvaluator, PartialTrainer, add_partialreid_config
from partialreid.commands.train import train
from partialreid.engine.inference import load_model
from partialreid.runtime.device import settle_device
from tests import tiny

MARKET = ("DATASETS.NAMES", ("Market1501",), "DATASETS.TESTS", ("Market1501",))
HERE = "cuda" if torch.cuda.is_available() else "cpu"


def plain_config(root: Path, output: Path, *options: Any) -> Any:
    cfg = get_cfg()
    add_partialreid_config(cfg)
    cfg.merge_from_file(tiny.CONFIG)
    cfg.merge_from_list(tiny.options(root, output, MODEL__DEVICE=None, SOLVER__MAX_EPOCH=1))
    cfg.merge_from_list(list(options))
    return cfg


class Trainer(PartialTrainer):
    """The trainer of the original project, with this package's class as its base."""

    @classmethod
    def build_evaluator(cls, cfg: Any, dataset_name: str, output_dir: str | None = None) -> Any:
        data_loader, num_query = cls.build_test_loader(cfg, dataset_name)
        return data_loader, DsrEvaluator(cfg, num_query, output_dir)

    test = DefaultTrainer.__dict__["test"]


def test_the_device_is_one_that_fastreid_knows() -> None:
    cfg = get_cfg()
    add_partialreid_config(cfg)
    assert cfg.MODEL.DEVICE == HERE
    assert torch.device(cfg.MODEL.DEVICE).type == HERE


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("device", ["auto", HERE])
def test_build_model(tmp_path: Path, device: str, frozen: bool) -> None:
    cfg = plain_config(tmp_path / "data", tmp_path, "MODEL.DEVICE", device)
    if frozen:
        cfg.freeze()
    model = build_model(cfg).eval()
    assert cfg.is_frozen() == frozen
    assert model.device.type == HERE
    with torch.no_grad():
        features, columns, weights = model({"images": torch.rand(2, 3, 64, 32)})
    assert (features.shape, columns.shape, weights.shape) == ((2, 1280), (2, 1280, 4), (2, 4))


@pytest.mark.parametrize("architecture", ["Baseline", "MoCo"])
def test_build_model_of_fastreids_own(tmp_path: Path, architecture: str) -> None:
    options = ["MODEL.META_ARCHITECTURE", architecture, "MODEL.HEADS.NAME", "EmbeddingHead"]
    cfg = plain_config(tmp_path / "data", tmp_path, "MODEL.DEVICE", "auto", *options)
    cfg.freeze()
    model = build_model(cfg).eval()
    assert model.device.type == cfg.MODEL.DEVICE == HERE
    with torch.no_grad():
        assert model({"images": torch.rand(2, 3, 64, 32, device=HERE)}).shape == (2, 1280)


def test_fastreids_own_leave_a_batch_as_it_is(tmp_path: Path) -> None:
    """Its flip test mirrors the batch after the first pass, and gives it to the network again."""
    options = ["MODEL.META_ARCHITECTURE", "Baseline", "MODEL.HEADS.NAME", "EmbeddingHead"]
    model = build_model(plain_config(tmp_path / "data", tmp_path, *options)).eval()
    images = 255 * torch.rand(2, 3, 64, 32)
    given = {"images": images.clone()}
    with torch.no_grad():
        model(given)
        assert torch.equal(given["images"], images)
        found = model.preprocess_image(given).cpu()
    mean, std = (model.pixel_mean.cpu(), model.pixel_std.cpu())
    torch.testing.assert_close(found, (images - mean) / std)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TEST.DSR.LAMBDA_STEP", -0.1),
        ("TEST.METRIC", "foo"),
        ("TEST.DSR.KAPPA", -1.0),
        ("TEST.DSR.DISTANCE", "foo"),
        ("DATASETS.TESTS", ("Market1510",)),
        ("MODEL.LOSSES.VERIFICATION.KAPPA", -1.0),
        ("MODEL.LOSSES.FL.ALPHA", 0.5),
        ("SOLVER.SCHED", "foo"),
    ],
)
def test_a_trainer_refuses_its_config_before_any_work(tmp_path: Path, key: str, value: Any) -> None:
    cfg = plain_config(tmp_path / "data", tmp_path / "out", key, value)
    with pytest.raises(ValueError, match=key.replace(".", r"\.")):
        PartialTrainer(cfg)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (lambda folder: shutil.rmtree(folder), FileNotFoundError, "Market-1501-v15.09.15"),
        (lambda folder: shutil.rmtree(folder / "query"), FileNotFoundError, "query"),
        (
            lambda folder: (folder / "query" / "0031_c1s1_000000_00.jpg").write_bytes(b"cut short"),
            OSError,
            "0031_c1s1_000000_00.jpg",
        ),
    ],
    ids=["no data set", "no queries", "an image that is none"],
)
def test_a_trainer_refuses_its_test_sets_before_training_data_are_read(
    tmp_path: Path, make_market, monkeypatch, damage: Any, error: type[Exception], said: str
) -> None:
    def read(*_: Any) -> None:
        raise AssertionError("training data are read")

    monkeypatch.setattr("partialreid.engine.trainer.train_items", read)
    damage(make_market(tmp_path / "data") / "Market-1501-v15.09.15")
    with pytest.raises(error, match=said):
        PartialTrainer(plain_config(tmp_path / "data", tmp_path, *MARKET))


def test_test_sets_that_the_command_line_has_checked_are_not_read_again(
    tmp_path: Path, make_market, monkeypatch
) -> None:
    def read(*_: Any) -> None:
        raise AssertionError("test sets are read again")

    monkeypatch.setattr("partialreid.engine.trainer.check_test_sets", read)
    monkeypatch.setattr(PartialTrainer, "train", lambda _: {"trained": 1})
    cfg = plain_config(make_market(tmp_path / "data"), tmp_path, *MARKET)
    args = argparse.Namespace(allow_partial=False, resume=False)
    assert train(cfg, args) == {"trained": 1}


def test_evaluator_and_settled_device(tmp_path: Path) -> None:
    cfg = plain_config(tmp_path / "data", tmp_path, "MODEL.DEVICE", "auto")
    cfg.freeze()
    DsrEvaluator(cfg, 1).reset()
    assert cfg.MODEL.DEVICE == HERE
    other = plain_config(tmp_path / "data", tmp_path)
    other.MODEL.DEVICE = "of another kind"
    settle_device(other)
    assert other.MODEL.DEVICE == "of another kind"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, float]]:
    """A training as FastReID's users write it: their trainer, resume_or_load(), train()."""
    folder = tmp_path_factory.mktemp("flow")
    cfg = plain_config(folder / "data", folder / "out", "MODEL.DEVICE", "auto")
    cfg.freeze()
    trainer = Trainer(cfg)
    trainer.resume_or_load()
    return cfg, dict(trainer.train())


def test_training_and_evaluation(trained) -> None:
    cfg, results = trained
    assert (Path(cfg.OUTPUT_DIR) / "model_final.pth").is_file()
    for key in ("Rank-1", "mAP", "global/Rank-1", "reconstruction/mAP", "fused/mINP"):
        assert 0 < results[key] <= 100, key


def test_fastreids_evaluation_gives_the_numbers_of_ours(trained) -> None:
    """FastReID's loop over our loader and evaluator, and `inference.evaluate_test_sets`."""
    cfg, _ = trained
    weights = os.path.join(cfg.OUTPUT_DIR, "model_final.pth")
    model = load_model(cfg, weights)
    theirs = Trainer.test(cfg, model)
    ours = PartialTrainer.test(cfg, model)
    assert {key: theirs[key] for key in ours} == pytest.approx(ours)


def test_fastreids_flip_test_gives_the_numbers_of_ours(trained) -> None:
    """Its loop adds the outputs of mirrored images, which are in those of our network already."""
    cfg, plain = trained[0].clone(), trained[1]
    cfg.defrost()
    cfg.TEST.FLIP.ENABLED = True
    model = load_model(cfg, os.path.join(cfg.OUTPUT_DIR, "model_final.pth"))
    theirs = Trainer.test(cfg, model)
    ours = PartialTrainer.test(cfg, model)
    assert {key: theirs[key] for key in ours} == pytest.approx(ours)
    assert any(ours[key] != pytest.approx(plain[key]) for key in ours)


def test_outputs_of_mirrored_images_are_not_mixed(trained) -> None:
    cfg = trained[0]
    model = load_model(cfg, os.path.join(cfg.OUTPUT_DIR, "model_final.pth")).eval()
    images = 255 * torch.rand(2, 3, 64, 32)
    with torch.no_grad(), pytest.raises(ValueError, match=r"set TEST\.FLIP\.ENABLED True"):
        model(images) + model(images.flip(3))
    model.flip_test = True
    with torch.no_grad():
        once = model(images)
        for part, wanted in zip((once + model(images.flip(3))) / 2, once, strict=True):
            assert torch.equal(part, wanted)
        with pytest.raises(TypeError):
            once + tuple(once)
        with pytest.raises(TypeError):
            (once + once) / 3


def test_a_negative_seed_is_drawn_and_leaves_the_config_alone(trained) -> None:
    cfg = trained[0].clone()
    cfg.defrost()
    cfg.SEED = -1
    cfg.freeze()
    seeds = {PartialTrainer(cfg).cfg.SEED for _ in range(3)}
    assert len(seeds) == 3 and min(seeds) >= 0
    assert cfg.SEED == -1


def test_the_users_home_in_the_paths_of_a_trainer(trained, tmp_path: Path, monkeypatch) -> None:
    cfg = trained[0].clone()
    weights = os.path.join(cfg.OUTPUT_DIR, "model_final.pth")
    monkeypatch.setenv("HOME", os.path.dirname(weights))
    monkeypatch.setenv("USERPROFILE", os.path.dirname(weights))
    cfg.defrost()
    cfg.OUTPUT_DIR, cfg.MODEL.WEIGHTS = "~/again", "~/model_final.pth"
    cfg.freeze()
    monkeypatch.chdir(tmp_path)
    trainer = PartialTrainer(cfg)
    trainer.resume_or_load()
    assert trainer.cfg.is_frozen()
    assert os.path.dirname(weights) + "/again" == trainer.cfg.OUTPUT_DIR
    own = trainer.model.state_dict()
    for key, value in torch.load(weights, weights_only=True)["model"].items():
        assert torch.equal(own[key].cpu(), value), key
    assert list(tmp_path.iterdir()) == []
    load_model(cfg, "~/model_final.pth")


def test_resume_or_load_goes_on_where_there_is_a_checkpoint(trained) -> None:
    cfg, _ = trained
    trainer = Trainer(cfg)
    trainer.resume_or_load()
    assert trainer.start_epoch == 1


def test_default_predictor(trained) -> None:
    cfg, _ = trained
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = os.path.join(cfg.OUTPUT_DIR, "model_final.pth")
    images = 255 * torch.rand(2, 3, 64, 32)
    found = DefaultPredictor(cfg)(images)
    model = load_model(cfg, cfg.MODEL.WEIGHTS).eval()
    with torch.no_grad():
        wanted = model(images)
    for name in ("features", "columns", "weights"):
        part = getattr(found, name)
        assert part.device.type == "cpu"
        torch.testing.assert_close(part, getattr(wanted, name).cpu())


@pytest.mark.skipif(HERE == "cuda", reason="there is a GPU")
def test_fastreids_own_loader_needs_a_gpu(tmp_path: Path) -> None:
    """Why DefaultTrainer itself cannot run on a CPU, and PartialTrainer takes its place."""
    cfg = plain_config(tmp_path / "data", tmp_path)
    test_set = torch.utils.data.TensorDataset(torch.zeros(4, 3, 8, 8))
    with pytest.raises((RuntimeError, AssertionError)):
        iter(build_reid_test_loader(cfg, test_set=test_set, num_query=1, num_workers=0)[0])
