"""Keys that are set and not read: refused where nothing reads them, named in the log elsewhere."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import pytest
from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.bases import ImageDataset
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from torch import nn

from partialreid.engine.checks import check_config
from partialreid.engine.configuration import setup_config
from partialreid.keys.config_files import configs_folder
from partialreid.keys.reading_rules import IN_BOTH, IN_TRAINING
from partialreid.keys.unread_keys import changed_keys, check_unread, idle_keys, warn_of_idle_keys
from tests import tiny

TESTS = "('Market1501',)"
DERIVED = "('Market1501', 'DukeMTMCPartial', 'DukeMTMCOccluded', 'DukeMTMCSmall')"
ARCHITECTURE = "MODEL.META_ARCHITECTURE"
FOLDER = f"('folder:{Path(__file__).parent}', 'folder:{Path(__file__).parent}HeldOutPartial')"
PARTIAL_SETS = "('Market1501', 'PartialiLIDS')"
DSR = ["MODEL.HEADS.NAME", "DSRHead", "TEST.DSR.ENABLED", True]
EMBEDDING = [ARCHITECTURE, "Baseline", "MODEL.HEADS.NAME", "EmbeddingHead",
             "TEST.DSR.ENABLED", False]  # fmt: skip
TRIPLET = ["MODEL.LOSSES.NAME", "('TripletLoss',)"]
FIXED = ["TEST.DSR.LAMBDA_SELECTION", "fixed", "TEST.DSR.BOOTSTRAP_ROUNDS", 0]
# A key, a value that is not its default, what makes it idle, and what has it read.
CASES: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("SOLVER.MOMENTUM", 0.8, [], ["SOLVER.OPT", "SGD"]),
    ("SOLVER.NESTEROV", True, [], ["SOLVER.OPT", "SGD"]),
    ("SOLVER.GAMMA", 0.2, ["SOLVER.SCHED", "CosineAnnealingLR"], ["SOLVER.SCHED", "MultiStepLR"]),
    ("SOLVER.STEPS", "[3]", ["SOLVER.SCHED", "CosineAnnealingLR"], ["SOLVER.SCHED", "MultiStepLR"]),
    ("SOLVER.ETA_MIN_LR", 0.1, ["SOLVER.SCHED", "MultiStepLR"],
     ["SOLVER.SCHED", "CosineAnnealingLR"]),
    ("SOLVER.WARMUP_FACTOR", 0.3, ["SOLVER.WARMUP_ITERS", 0], ["SOLVER.WARMUP_ITERS", 5]),
    ("SOLVER.WARMUP_METHOD", "exp", ["SOLVER.WARMUP_ITERS", 0], ["SOLVER.WARMUP_ITERS", 5]),
    ("MODEL.FREEZE_LAYERS", "('backbone',)", [], ["SOLVER.FREEZE_ITERS", 5]),
    ("SOLVER.FREEZE_ITERS", 5, [], ["MODEL.FREEZE_LAYERS", "('backbone',)"]),
    ("DATALOADER.NUM_INSTANCE", 2, ["DATALOADER.SAMPLER_TRAIN", "TrainingSampler"],
     ["DATALOADER.SAMPLER_TRAIN", "NaiveIdentitySampler"]),
    ("MODEL.BACKBONE.PRETRAIN_PATH", "x.pth", ["MODEL.BACKBONE.PRETRAIN", False],
     ["MODEL.BACKBONE.PRETRAIN", True]),
    ("MODEL.HEADS.MARGIN", 0.3, ["MODEL.META_ARCHITECTURE", "Baseline", "MODEL.HEADS.NAME",
     "EmbeddingHead", "TEST.DSR.ENABLED", False], ["MODEL.HEADS.CLS_LAYER", "ArcSoftmax"]),
    ("MODEL.HEADS.NECK_FEAT", "after", ["MODEL.HEADS.WITH_BNNECK", True,
     "MODEL.LOSSES.NAME", "('CrossEntropyLoss',)"],
     ["MODEL.LOSSES.NAME", "('CrossEntropyLoss', 'TripletLoss')"]),
    ("MODEL.HEADS.NECK_FEAT", "after", [*TRIPLET, "MODEL.HEADS.WITH_BNNECK", False],
     ["MODEL.HEADS.WITH_BNNECK", True]),
    ("MODEL.HEADS.NECK_FEAT", "after", [*TRIPLET, "MODEL.HEADS.WITH_BNNECK", False],
     [*EMBEDDING, "MODEL.HEADS.EMBEDDING_DIM", 32]),
    ("MODEL.HEADS.NECK_FEAT", "after", [*EMBEDDING, "MODEL.HEADS.WITH_BNNECK", True,
     "MODEL.LOSSES.NAME", "('CrossEntropyLoss',)"], [ARCHITECTURE, "MoCo"]),
    ("MODEL.HEADS.NORM", "GN", ["MODEL.HEADS.WITH_BNNECK", False],
     ["MODEL.HEADS.WITH_BNNECK", True]),
    ("MODEL.LOSSES.CE.SCALE", 2.0, ["MODEL.LOSSES.NAME", "('TripletLoss',)"],
     ["MODEL.LOSSES.NAME", "('CrossEntropyLoss',)"]),
    ("MODEL.LOSSES.CE.ALPHA", 0.3, ["MODEL.LOSSES.CE.EPSILON", 0.1],
     ["MODEL.LOSSES.CE.EPSILON", -1.0]),
    ("MODEL.LOSSES.TRI.START_ITER", 9, [*TRIPLET, *EMBEDDING],
     [ARCHITECTURE, "PartialBaseline", "MODEL.HEADS.NAME", "DSRHead"]),
    ("MODEL.LOSSES.TRI.MARGIN", 0.1, ["MODEL.LOSSES.NAME", "('CrossEntropyLoss',)"],
     ["MODEL.LOSSES.NAME", "('TripletLoss',)"]),
    ("MODEL.LOSSES.CIRCLE.GAMMA", 64, [], ["MODEL.LOSSES.NAME", "('CircleLoss',)",
     "MODEL.META_ARCHITECTURE", "Baseline"]),
    ("MODEL.LOSSES.COSFACE.MARGIN", 0.1, [], ["MODEL.LOSSES.NAME", "('Cosface',)",
     "MODEL.META_ARCHITECTURE", "Baseline"]),
    ("MODEL.LOSSES.FOREGROUND.SCALE", 2.0, [], ["MODEL.META_ARCHITECTURE", "FPRBaseline"]),
    ("MODEL.LOSSES.RECONSTRUCTION.TEMPERATURE", 0.1, [ARCHITECTURE, "FPRBaseline"],
     [ARCHITECTURE, "ReconstructionBaseline"]),
    ("MODEL.LOSSES.RECONSTRUCTION.PART.SHARE", (0.5, 0.6),
     [ARCHITECTURE, "ReconstructionBaseline"], ["MODEL.LOSSES.RECONSTRUCTION.PART.PROB", 0.5]),
    ("INPUT.CUT.PROB", 0.2, [ARCHITECTURE, "FPRBaseline"],
     [ARCHITECTURE, "ReconstructionBaseline"]),
    *(
        (key, value, [ARCHITECTURE, "ReconstructionBaseline", "INPUT.CUT.PROB", 0.0],
         ["INPUT.CUT.PROB", 0.5])
        for key, value in (
            ("INPUT.CUT.SHARE", (0.7, 0.8)),
            ("INPUT.CUT.STEP", 32),
            ("INPUT.CUT.STATISTICS", "running"),
        )
    ),
    ("MODEL.LOSSES.VERIFICATION.PAIRS", 8, [],
     ["MODEL.META_ARCHITECTURE", "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head"]),
    ("MODEL.LOSSES.VERIFICATION.LASSO_BETA", 0.2,
     ["MODEL.META_ARCHITECTURE", "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head",
      "MODEL.LOSSES.VERIFICATION.CODES", "ridge"],
     ["MODEL.LOSSES.VERIFICATION.CODES", "lasso"]),
    ("MODEL.LOSSES.VERIFICATION.KAPPA", 0.2,
     ["MODEL.META_ARCHITECTURE", "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head",
      "MODEL.LOSSES.VERIFICATION.CODES", "lasso"],
     ["MODEL.LOSSES.VERIFICATION.CODES", "ridge"]),
    ("MODEL.LOSSES.VERIFICATION.TOLERANCE", 0.1,
     ["MODEL.META_ARCHITECTURE", "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head",
      "MODEL.LOSSES.VERIFICATION.CODES", "ridge"],
     ["MODEL.LOSSES.VERIFICATION.CODES", "lasso"]),
    *(
        case
        for other in ("MoCo", "Distiller", "Baseline")
        for case in (
            ("MODEL.LOSSES.FOREGROUND.SCALE", 2.0, [*EMBEDDING, ARCHITECTURE, other],
             [*DSR, ARCHITECTURE, "FPRBaseline"]),
            ("MODEL.LOSSES.VERIFICATION.PAIRS", 8, [*EMBEDDING, ARCHITECTURE, other],
             [*DSR, ARCHITECTURE, "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head"]),
            ("DATASETS.MASKS", "masks", [*EMBEDDING, ARCHITECTURE, other],
             [*DSR, ARCHITECTURE, "FPRBaseline"]),
            ("MODEL.CHANNELS_LAST", "on", [*EMBEDDING, ARCHITECTURE, other],
             [*DSR, ARCHITECTURE, "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head"]),
            ("TEST.FLIP.ENABLED", True, [*EMBEDDING, ARCHITECTURE, other],
             [*DSR, ARCHITECTURE, "DSR2018", "MODEL.HEADS.NAME", "DSR2018Head"]),
        )
    ),
    ("DATASETS.MASKS", "masks", [], [ARCHITECTURE, "FPRBaseline"]),
    ("DATASETS.MASK_THRESHOLD", 100, [ARCHITECTURE, "FPRBaseline"], ["DATASETS.MASKS", "masks"]),
    ("DATASETS.MASK_THRESHOLD", 100, ["DATASETS.MASKS", "masks"], [ARCHITECTURE, "FPRBaseline"]),
    ("KD.EMA.MOMENTUM", 0.9, [], []),
    ("MODEL.INFERENCE_DTYPE", "bfloat16", [], ["MODEL.INFERENCE_DTYPE", "float32"]),
    ("MODEL.CHANNELS_LAST", "on", ["MODEL.META_ARCHITECTURE", "Baseline"],
     ["MODEL.META_ARCHITECTURE", "PartialBaseline"]),
    ("TEST.FLIP.ENABLED", True, ["MODEL.META_ARCHITECTURE", "Baseline"],
     ["MODEL.META_ARCHITECTURE", "PartialBaseline"]),
    ("INPUT.KEEP_RATIO_STEP", 8, [], ["INPUT.KEEP_RATIO", "fit"]),
    ("INPUT.KEEP_RATIO_LONGEST", 1.5, ["INPUT.KEEP_RATIO", "fit"], ["INPUT.KEEP_RATIO", "width"]),
    ("INPUT.KEEP_RATIO_WHOLE", 3.0, ["INPUT.KEEP_RATIO", "fit"], ["INPUT.KEEP_RATIO", "gallery"]),
    ("INPUT.DETAIL", 0.5,
     ["INPUT.SIZE_TEST", [0], "INPUT.CROP.ENABLED", True, "INPUT.CROP.SIZE", [256, 128]],
     ["INPUT.SIZE_TEST", [256, 128]]),
    ("DATASETS.DERIVED_SEED", 1, ["DATASETS.TESTS", TESTS], ["DATASETS.TESTS", DERIVED]),
    ("DATASETS.DERIVED.KIND", "shapes", ["DATASETS.TESTS", TESTS], ["DATASETS.TESTS", DERIVED]),
    ("DATASETS.DERIVED.SHARE", "(10, 20)", ["DATASETS.TESTS", TESTS], ["DATASETS.TESTS", DERIVED]),
    ("DATASETS.DERIVED.SIDES", "any", ["DATASETS.TESTS", TESTS], ["DATASETS.TESTS", DERIVED]),
    ("DATASETS.DERIVED.SIZE", "(50, 60)", ["DATASETS.TESTS", TESTS], ["DATASETS.TESTS", DERIVED]),
    ("DATASETS.DERIVED.PERCENT", "(50, 60)", ["DATASETS.TESTS", TESTS],
     ["DATASETS.TESTS", DERIVED]),
    ("DATASETS.SYNTHETIC.TEST_IDS", 5, ["DATASETS.TESTS", TESTS, "DATASETS.NAMES", TESTS],
     ["DATASETS.TESTS", "('SyntheticPartialHeldOut',)"]),
    ("TEST.DSR.CODES", "lasso", ["TEST.DSR.ENABLED", False], ["TEST.DSR.ENABLED", True]),
    ("TEST.DSR.SQUARED", True, ["TEST.DSR.ENABLED", False], ["TEST.DSR.ENABLED", True]),
    ("TEST.DSR.SHORTLIST", "none", ["TEST.DSR.ENABLED", False], ["TEST.DSR.ENABLED", True]),
    ("TEST.DSR.LAMBDA_SELECTION", "fixed", ["TEST.DSR.ENABLED", False],
     ["TEST.DSR.ENABLED", True]),
    ("TEST.DSR.DISTANCE", "global", ["TEST.DSR.ENABLED", False], ["TEST.DSR.ENABLED", True]),
    ("TEST.DSR.STORAGE", "float16", ["TEST.DSR.ENABLED", False], ["TEST.DSR.ENABLED", True]),
    ("TEST.DSR.MEMORY_GB", 2.0, ["TEST.DSR.ENABLED", False], ["TEST.RERANK.ENABLED", True]),
    ("TEST.DSR.KAPPA", 0.1, ["TEST.DSR.CODES", "lasso"], ["TEST.DSR.CODES", "ridge"]),
    ("TEST.DSR.SQUARED", True, ["TEST.DSR.CODES", "lasso"], ["TEST.DSR.CODES", "ridge"]),
    ("TEST.DSR.LASSO_BETA", 0.1, ["TEST.DSR.CODES", "ridge"], ["TEST.DSR.CODES", "lasso"]),
    ("TEST.DSR.LASSO_TOLERANCE", 0.1, ["TEST.DSR.CODES", "ridge"], ["TEST.DSR.CODES", "lasso"]),
    ("TEST.DSR.TOPK", 5, ["TEST.DSR.SHORTLIST", "none"], ["TEST.DSR.SHORTLIST", "global"]),
    ("TEST.DSR.FILL", 2.0, ["TEST.DSR.TOPK", 0], ["TEST.DSR.TOPK", 5]),
    ("TEST.DSR.COARSE.DIMENSIONS", 8, ["TEST.DSR.SHORTLIST", "global"],
     ["TEST.DSR.SHORTLIST", "coarse"]),
    ("TEST.DSR.LAMBDA", 0.3, ["TEST.DSR.LAMBDA_SELECTION", "crossfit"],
     ["TEST.DSR.LAMBDA_SELECTION", "fixed"]),
    ("TEST.DSR.LAMBDA_STEP", 0.3, ["TEST.DSR.LAMBDA_SELECTION", "fixed"],
     ["TEST.DSR.LAMBDA_SELECTION", "oracle"]),
    ("TEST.DSR.SINGLE_SHOT_ROUNDS", 5, [], ["TEST.DSR.PROTOCOL", "single-shot"]),
    ("TEST.DSR.BOOTSTRAP_ROUNDS", 5, ["TEST.DSR.PROTOCOL", "single-shot"],
     ["TEST.DSR.PROTOCOL", "full"]),
    ("TEST.DSR.CAMERAS", "filename", ["DATASETS.TESTS", DERIVED], ["DATASETS.TESTS", PARTIAL_SETS]),
    ("TEST.DSR.CAMERAS", "filename", ["DATASETS.TESTS", TESTS],
     ["DATASETS.TESTS", "('PartialREIDPartial',)"]),
    ("TEST.DSR.CAMERAS", "filename", ["DATASETS.TESTS", FOLDER, "DATASETS.NAMES", FOLDER],
     ["DATASETS.TESTS", PARTIAL_SETS]),
    ("DATASETS.DERIVED.KIND", "shapes", ["DATASETS.TESTS", FOLDER],
     ["DATASETS.TESTS", FOLDER.replace("Partial", "Occluded")]),
    *(
        ("TEST.DSR.PROTOCOL_SEED", 3, [*FIXED, "DATASETS.TESTS", sets], read)
        for sets in (PARTIAL_SETS, FOLDER)
        for read in (
            ["TEST.DSR.LAMBDA_SELECTION", "crossfit"],
            ["TEST.DSR.PROTOCOL", "single-shot"],
            ["TEST.DSR.BOOTSTRAP_ROUNDS", 10],
            ["DATASETS.TESTS", "('SmallVehicleIDPartial',)"],
            ["DATASETS.TESTS", "('SetOfAUser',)"],
        )
    ),
    # Nothing is chosen where nothing is reconstructed.
    ("TEST.DSR.PROTOCOL_SEED", 3, ["TEST.DSR.ENABLED", False, "TEST.DSR.BOOTSTRAP_ROUNDS", 0],
     ["TEST.DSR.ENABLED", True]),
    # Switches.
    ("SOLVER.CLIP_GRADIENTS.NORM_TYPE", 1.0, ["SOLVER.CLIP_GRADIENTS.ENABLED", True,
     "SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "value"], ["SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "norm"]),
    ("INPUT.REA.PROB", 0.1, [], ["INPUT.REA.ENABLED", True]),
    ("INPUT.OCCLUSION.PROB", 0.1, [], ["INPUT.OCCLUSION.ENABLED", True]),
    ("INPUT.SHRINK.PROB", 0.1, [], ["INPUT.SHRINK.ENABLED", True]),
    ("SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 1.0, [], ["SOLVER.CLIP_GRADIENTS.ENABLED", True]),
    ("TEST.RERANK.K1", 5, [], ["TEST.RERANK.ENABLED", True]),
    # Parts of a network.
    ("MODEL.BACKBONE.TIMM", "test_byobnet", [], ["MODEL.BACKBONE.NAME", "build_timm_backbone",
     "MODEL.BACKBONE.FEAT_DIM", 256, "INPUT.SIZE_TEST", [128, 128],
     "INPUT.SIZE_TRAIN", [128, 128]]),
    ("MODEL.BACKBONE.WITH_IBN", True, [], ["MODEL.BACKBONE.NAME", "build_resnet_backbone",
     "MODEL.BACKBONE.DEPTH", "18x", "MODEL.BACKBONE.FEAT_DIM", 512, "INPUT.SIZE_TEST", [128, 128],
     "INPUT.SIZE_TRAIN", [128, 128]]),
    ("MODEL.BACKBONE.SIE_COE", 2.0, [], []),
    ("MODEL.QUEUE_SIZE", 64, [], []),
    ("MODEL.HEADS.DSR.STRIDE", 1, ["MODEL.META_ARCHITECTURE", "Baseline", "MODEL.HEADS.NAME",
     "EmbeddingHead", "TEST.DSR.ENABLED", False], ["MODEL.HEADS.NAME", "DSRHead"]),
]  # fmt: skip


@pytest.fixture
def cfg(make_config) -> Any:
    cfg = make_config(
        *("MODEL.META_ARCHITECTURE", "PartialBaseline", "MODEL.HEADS.NAME", "DSRHead"),
        *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.FEAT_DIM", 128),
        *("INPUT.SIZE_TEST", [128, 64], "INPUT.SIZE_TRAIN", [128, 64]),
    )
    assert idle_keys(cfg, eval_only=False) == {}
    return cfg


@pytest.fixture(autouse=True)
def set_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    own = type("SetOfAUser", (ImageDataset,), {})
    monkeypatch.setitem(DATASET_REGISTRY._obj_map, "SetOfAUser", own)


def merge(cfg: Any, changes: list[Any]) -> None:
    cfg.merge_from_list([str(part) if isinstance(part, float) else part for part in changes])


@pytest.mark.parametrize(("key", "value", "idle", "read"), CASES, ids=[case[0] for case in CASES])
def test_an_idle_key_is_named(cfg: Any, key: str, value: Any, idle: list, read: list) -> None:
    merge(cfg, [key, value, *idle])
    why = idle_keys(cfg, eval_only=False)[key]
    assert why
    if read:
        merge(cfg, read)
        assert key not in idle_keys(cfg, eval_only=False)


def test_a_derived_architecture_reads_what_its_base_reads(
    cfg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = type("OwnFPR", (META_ARCH_REGISTRY.get("FPRBaseline"),), {})
    monkeypatch.setitem(META_ARCH_REGISTRY._obj_map, "OwnFPR", own)
    merge(cfg, [ARCHITECTURE, "OwnFPR", "DATASETS.MASKS", "masks", "TEST.FLIP.ENABLED", True])
    merge(cfg, ["MODEL.LOSSES.FOREGROUND.SCALE", 2.0, "MODEL.LOSSES.VERIFICATION.PAIRS", 8])
    assert idle_keys(cfg, eval_only=False) == {
        "MODEL.LOSSES.VERIFICATION.PAIRS": f"{ARCHITECTURE} is OwnFPR"
    }


def test_an_architecture_of_a_user_computes_in_what_it_likes(
    cfg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(nn.Module):
        def __init__(self, cfg: Any) -> None:
            super().__init__()

    monkeypatch.setitem(META_ARCH_REGISTRY._obj_map, "Own", Own)
    merge(cfg, ["MODEL.INFERENCE_DTYPE", "bfloat16"])
    assert idle_keys(cfg, eval_only=True) == {}
    merge(cfg, [ARCHITECTURE, "Own"])
    assert idle_keys(cfg, eval_only=True)["MODEL.INFERENCE_DTYPE"] == f"{ARCHITECTURE} is Own"


def test_every_rule_has_a_case() -> None:
    ruled = {key for key, _ in (*IN_BOTH, *IN_TRAINING)}
    tried = {case[0] for case in CASES}
    for node in ruled:
        assert any(key == node or key.startswith(f"{node}.") for key in tried), node


def test_an_evaluation_says_nothing_of_the_training(cfg: Any) -> None:
    merge(
        cfg, ["SOLVER.MOMENTUM", 0.8, "INPUT.REA.PROB", 0.1, "MODEL.LOSSES.FOREGROUND.SCALE", 2.0]
    )
    assert idle_keys(cfg, eval_only=True) == {}
    merge(cfg, ["TEST.RERANK.K1", 5, "TEST.DSR.LASSO_BETA", 0.1])
    assert set(idle_keys(cfg, eval_only=True)) == {"TEST.RERANK.K1", "TEST.DSR.LASSO_BETA"}


@pytest.mark.parametrize("file", sorted(configs_folder().glob("*.yml")), ids=lambda f: f.stem)
def test_the_configs_of_the_project_set_no_idle_key(file: Path) -> None:
    cfg = setup_config(argparse.Namespace(config_file=str(file), opts=["MODEL.DEVICE", "cpu"]))
    assert changed_keys(cfg)
    assert idle_keys(cfg, eval_only=False) == {}
    assert idle_keys(cfg, eval_only=True) == {}


@pytest.mark.parametrize(
    ("key", "value", "instead"),
    [
        ("MODEL.LOSSES.FL.GAMMA", 3, "MODEL.LOSSES.NAME"),
        ("MODEL.LOSSES.FL.SCALE", 0.5, "MODEL.LOSSES.NAME"),
        ("DATALOADER.SET_WEIGHT", [1, 2], "DATALOADER.SAMPLER_TRAIN"),
    ],
)
def test_what_nothing_reads_is_refused(cfg: Any, key: str, value: Any, instead: str) -> None:
    check_unread(cfg)
    merge(cfg, [key, value])
    with pytest.raises(ValueError, match=f"{key} is set, but nothing reads it") as caught:
        check_config(cfg, 1, eval_only=True)
    assert instead in str(caught.value)


def test_lists_and_tuples_of_the_same_values_are_no_change(cfg: Any) -> None:
    before = changed_keys(cfg)
    cfg.merge_from_list(["MODEL.HEADS.DSR.KERNELS", [2, 4, 6, 8], "SOLVER.STEPS", (30, 55)])
    assert changed_keys(cfg) == before


def test_the_log_names_them(cfg: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_idle_keys(cfg, eval_only=False)
    assert caplog.text == ""
    merge(cfg, ["SOLVER.MOMENTUM", 0.8])
    with caplog.at_level(logging.WARNING):
        warn_of_idle_keys(cfg, eval_only=False)
    assert "not read by this run: SOLVER.MOMENTUM (SOLVER.OPT is Adam)" in caplog.text


@pytest.mark.slow
def test_a_run_writes_them_into_its_log(tmp_path: Path) -> None:
    changes = {"SOLVER__MAX_EPOCH": 1, "SOLVER__MOMENTUM": 0.8, "MODEL__BACKBONE__WITH_SE": True}
    tiny.run(tmp_path / "data", tmp_path / "out", **changes)
    log = (tmp_path / "out" / "log.txt").read_text()
    assert log.count("SOLVER.MOMENTUM (SOLVER.OPT is Adam)") == 1
    # A MobileNetV2 has no such parts.
    assert "MODEL.BACKBONE.WITH_SE (the network does not read it)" in log
    weights = {"MODEL__WEIGHTS": tmp_path / "out" / "model_final.pth", "TEST__DSR__LAMBDA": 0.3}
    tiny.run(tmp_path / "data", tmp_path / "eval", "--eval-only", **weights)
    said = (tmp_path / "eval" / "log.txt").read_text()
    assert "TEST.DSR.LAMBDA (TEST.DSR.LAMBDA_SELECTION is crossfit)" in said
