"""Every number of a config is checked for its range before any data is read."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fastreid.config import get_cfg

import partialreid
from partialreid.config import config_value
from partialreid.config_types import WORD_OR_NUMBER
from partialreid.engine.checks import check_config
from partialreid.keys.ranges import ALWAYS, TRAINING
from partialreid.keys.unread_keys import leaves

NAN, INF = math.nan, math.inf
# These need no range.
NO_RANGE = {
    "SEED": "a negative one is drawn anew",
    "DATASETS.DERIVED_SEED": "it is hashed as text, any whole number is as good",
}
# Values that no run can use, and the switches without which nobody looks at the key.
BAD: dict[str, tuple[Any, ...]] = {
    "MODEL.HEADS.DSR.KERNELS": ((), (0, 2), (2.5,)),
    "MODEL.HEADS.DSR.STRIDE": (0, -1),
    "MODEL.HEADS.EMBEDDING_DIM": (-1,),
    "MODEL.HEADS.SCALE": (0, -1),
    "MODEL.HEADS.MARGIN": (NAN, INF),
    "MODEL.HEADS.NUM_CLASSES": (-1,),
    "MODEL.BACKBONE.FEAT_DIM": (0,),
    "MODEL.BACKBONE.LAST_STRIDE": (0,),
    "MODEL.BACKBONE.SIE_COE": (NAN,),
    "MODEL.BACKBONE.STRIDE_SIZE": ((16,), (0, 16)),
    "MODEL.BACKBONE.DROP_PATH_RATIO": (-0.1, 1.1),
    "MODEL.BACKBONE.DROP_RATIO": (-0.1, 1.1),
    "MODEL.BACKBONE.ATT_DROP_RATE": (-0.1, 1.1),
    "MODEL.QUEUE_SIZE": (0,),
    "MODEL.PIXEL_MEAN": ([0.5], [0.0, 0.0, NAN]),
    "MODEL.PIXEL_STD": ([1.0, 1.0], [1.0, 1.0, 0.0]),
    "MODEL.LOSSES.CE.EPSILON": (-0.5, 1.0),
    "MODEL.LOSSES.CE.ALPHA": (-0.1, 1.1),
    "MODEL.LOSSES.CE.SCALE": (-1.0, NAN),
    "MODEL.LOSSES.TRI.MARGIN": (-0.1,),
    "MODEL.LOSSES.TRI.SCALE": (-1.0,),
    "MODEL.LOSSES.CIRCLE.MARGIN": (NAN,),
    "MODEL.LOSSES.CIRCLE.GAMMA": (0,),
    "MODEL.LOSSES.CIRCLE.SCALE": (-1.0,),
    "MODEL.LOSSES.COSFACE.MARGIN": (NAN,),
    "MODEL.LOSSES.COSFACE.GAMMA": (0,),
    "MODEL.LOSSES.COSFACE.SCALE": (-1.0,),
    "MODEL.LOSSES.TRI.START_ITER": (-1,),
    "MODEL.LOSSES.FOREGROUND.SCALE": (-1.0, INF),
    "MODEL.LOSSES.RECONSTRUCTION.SCALE": (-1.0, NAN),
    "MODEL.LOSSES.RECONSTRUCTION.TEMPERATURE": (0.0, -0.02, INF),
    "MODEL.LOSSES.RECONSTRUCTION.KAPPA": (0.0, -0.001, NAN),
    "MODEL.LOSSES.RECONSTRUCTION.COLUMNS": (0, -1),
    "MODEL.LOSSES.RECONSTRUCTION.PART.PROB": (-0.1, 1.1, NAN),
    "MODEL.LOSSES.RECONSTRUCTION.PART.SHARE": ((0.0, 0.4), (0.4, 0.1), (0.1, 1.1), (0.1,)),
    "MODEL.LOSSES.VERIFICATION.SCALE": (-1.0,),
    "MODEL.LOSSES.VERIFICATION.START_ITER": (-1,),
    "MODEL.LOSSES.VERIFICATION.PAIRS": (0, 1),
    "MODEL.LOSSES.VERIFICATION.LASSO_BETA": (0.0, -0.4, NAN),
    "MODEL.LOSSES.VERIFICATION.TOLERANCE": (0.0, -0.1),
    "MODEL.LOSSES.VERIFICATION.KAPPA": (0.0, -0.001, INF),
    "KD.EMA.MOMENTUM": (-0.1, 1.1),
    "INPUT.SIZE_TRAIN": ([], [-1, 64], [64, 32, 3]),
    "INPUT.SIZE_TEST": ([], [64, -1], [64.5, 32]),
    "INPUT.KEEP_RATIO_STEP": (0,),
    "INPUT.KEEP_RATIO_LONGEST": (0.9, INF),
    "INPUT.KEEP_RATIO_WHOLE": (-1.0, INF),
    "INPUT.DETAIL": (0.0, -0.5, 1.1),
    "INPUT.CROP.SIZE": ([0, 32], [64, 32, 3]),
    "INPUT.CROP.SCALE": ([0.0, 1.0], [0.5, 0.4], [0.5]),
    "INPUT.CROP.RATIO": ([0.0, 1.0], [1.3, 0.7]),
    "INPUT.FLIP.PROB": (-0.1, 1.1),
    "INPUT.PADDING.SIZE": (-1,),
    "INPUT.CJ.PROB": (-0.1, 1.1),
    "INPUT.CJ.BRIGHTNESS": (-0.1,),
    "INPUT.CJ.CONTRAST": (-0.1,),
    "INPUT.CJ.SATURATION": (-0.1,),
    "INPUT.CJ.HUE": (-0.1, 0.6),
    "INPUT.AUTOAUG.PROB": (1.1,),
    "INPUT.AUGMIX.PROB": (1.1,),
    "INPUT.REA.PROB": (1.1,),
    "INPUT.REA.VALUE": ([0.0],),
    "INPUT.RPT.PROB": (1.1,),
    "INPUT.SHRINK.PROB": (-0.1, 1.1, NAN),
    "INPUT.SHRINK.SHARE": ((0.0, 0.4), (0.4, 0.1), (0.1, 1.1), (0.1,)),
    "INPUT.CUT.PROB": (-0.1, 1.1, NAN),
    "INPUT.CUT.SHARE": ((0.0, 0.4), (0.4, 0.1), (0.1, 1.1), (0.1,)),
    "INPUT.CUT.STEP": (0, -16),
    "INPUT.OCCLUSION.PROB": (-0.1, 1.1, NAN),
    "INPUT.OCCLUSION.SHARE": ((0.0, 0.4), (0.4, 0.1), (0.1, 1.0), (0.1,)),
    "DATASETS.HELD_OUT": (-1,),
    "DATASETS.MASK_THRESHOLD": (0, 256),
    "DATASETS.DERIVED.SHARE": ((0, 50), (50, 20), (20, 100), (0.2, 0.5)),
    "DATASETS.DERIVED.SIZE": ((0, 60), (60, 30), (60,)),
    "DATASETS.DERIVED.PERCENT": ((0, 90), (90, 60), (60,)),
    "DATASETS.SYNTHETIC.SEED": (-1, 2**31),
    "DATASETS.SYNTHETIC.TRAIN_IDS": (1, 5001),
    "DATASETS.SYNTHETIC.TEST_IDS": (0,),
    "DATALOADER.NUM_INSTANCE": (0, 3),
    "DATALOADER.NUM_WORKERS": (-1,),
    "SOLVER.MAX_EPOCH": (0,),
    "SOLVER.BASE_LR": (0.0, -1.0, NAN),
    "SOLVER.HEADS_LR_FACTOR": (-1.0,),
    "SOLVER.BIAS_LR_FACTOR": (-1.0,),
    "SOLVER.MOMENTUM": (-0.1, 1.1),
    "SOLVER.WEIGHT_DECAY": (-1.0,),
    "SOLVER.WEIGHT_DECAY_NORM": (-1.0,),
    "SOLVER.WEIGHT_DECAY_BIAS": (-1.0,),
    "SOLVER.DELAY_EPOCHS": (-1,),
    "SOLVER.GAMMA": (0.0,),
    "SOLVER.STEPS": ([0], [55, 30], [1.5]),
    "SOLVER.ETA_MIN_LR": (-1.0,),
    "SOLVER.WARMUP_FACTOR": (-0.1, 1.1),
    "SOLVER.WARMUP_ITERS": (-1,),
    "SOLVER.FREEZE_ITERS": (-1,),
    "SOLVER.CHECKPOINT_PERIOD": (-1,),
    "SOLVER.IMS_PER_BATCH": (0, -16),
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": (0.0, INF),
    "SOLVER.CLIP_GRADIENTS.NORM_TYPE": (0.0, NAN),
    "TEST.EVAL_PERIOD": (-1,),
    "TEST.IMS_PER_BATCH": (0,),
    "TEST.AQE.ALPHA": (NAN,),
    "TEST.AQE.QE_TIME": (0,),
    "TEST.AQE.QE_K": (0,),
    "TEST.RERANK.K1": (0,),
    "TEST.RERANK.K2": (0,),
    "TEST.RERANK.LAMBDA": (-0.1, 1.1),
    "TEST.PRECISE_BN.NUM_ITER": (0,),
    "TEST.DSR.KAPPA": (0.0, -0.001, NAN, INF),
    "TEST.DSR.LASSO_BETA": (0.0, -0.4),
    "TEST.DSR.LASSO_TOLERANCE": (0.0, -1e-6),
    "TEST.DSR.TOPK": (-1,),
    "TEST.DSR.COARSE.DIMENSIONS": (0,),
    "TEST.DSR.COARSE.KAPPA": (0.0,),
    "TEST.DSR.COARSE.SAMPLE": (0,),
    "TEST.DSR.FILL": (0.0, 0.9, INF),
    "TEST.DSR.LAMBDA": (-0.01, 1.01, NAN),
    "TEST.DSR.LAMBDA_STEP": (0.0, -0.1, 1.01, 1e-9, NAN),
    "TEST.DSR.SINGLE_SHOT_ROUNDS": (1,),
    "TEST.DSR.BOOTSTRAP_ROUNDS": (-1,),
    "TEST.DSR.PROTOCOL_SEED": (-1,),
    "TEST.DSR.MEMORY_GB": (0.0, -1.0, NAN, INF),
    "LOG_PERIOD": (0,),
}
SWITCHES = ("TEST.AQE.ENABLED", True, "TEST.RERANK.ENABLED", True)
# What an evaluation does not read is checked for a training alone.
EITHER_WAY = {
    *(*ALWAYS, "DATASETS.HELD_OUT"),
    *(f"DATASETS.DERIVED.{key}" for key in ("SHARE", "PERCENT", "SIZE")),
}


def numbers() -> set[str]:
    """The keys that hold a number or a sequence of numbers."""
    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    found = set(WORD_OR_NUMBER)
    for key, value in leaves(cfg):
        parts = value if isinstance(value, (list, tuple)) and value else [value]
        if all(isinstance(part, (int, float)) and not isinstance(part, bool) for part in parts):
            found.add(key)
    return found


def config(make_config, key: str, value: Any) -> Any:
    cfg = make_config(
        "DATASETS.ROOT", "absent/folder", "DATALOADER.SAMPLER_TRAIN", "NaiveIdentitySampler",
        "SOLVER.IMS_PER_BATCH", 16, "MODEL.META_ARCHITECTURE", "PartialBaseline",
        "MODEL.HEADS.NAME", "DSRHead", "MODEL.BACKBONE.NAME", "build_small_resnet_backbone",
        "MODEL.BACKBONE.FEAT_DIM", 128, "INPUT.SIZE_TEST", [128, 64], "INPUT.SIZE_TRAIN", [128, 64],
        *SWITCHES,
    )  # fmt: skip
    *path, name = key.split(".")
    node = cfg
    for part in path:
        node = node[part]
    node[name] = value
    return cfg


def test_every_number_has_a_range() -> None:
    unread = {key for key in numbers() if key.startswith("MODEL.LOSSES.FL.")}
    assert len(unread) == 3, "nothing reads them: unread_keys refuses them"
    assert numbers() == set(BAD) | set(NO_RANGE) | unread
    assert {*ALWAYS, *TRAINING} <= set(BAD)


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in BAD.items() for value in values]
)
def test_what_is_out_of_range_is_refused_by_name(make_config, key: str, value: Any) -> None:
    cfg = config(make_config, key, value)
    assert config_value(cfg, key) is value
    with pytest.raises(ValueError) as caught:
        check_config(cfg, 1, eval_only=False)
    assert key in str(caught.value)
    if key in EITHER_WAY:
        with pytest.raises(ValueError, match=key):
            check_config(cfg, 1, eval_only=True)
    elif key in TRAINING:
        check_config(cfg, 1, eval_only=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TEST.DSR.LAMBDA_STEP", 0.15),
        ("TEST.DSR.LAMBDA_STEP", 1.0),
        ("TEST.DSR.FILL", 1.0),
        ("MODEL.LOSSES.CE.EPSILON", -1.0),
        ("MODEL.LOSSES.VERIFICATION.PAIRS", 2),
        ("SOLVER.CLIP_GRADIENTS.NORM_TYPE", INF),
        ("SOLVER.STEPS", []),
        ("TEST.EVAL_PERIOD", 0),
    ],
)
def test_the_ends_of_the_ranges_pass(make_config, key: str, value: Any) -> None:
    check_config(config(make_config, key, value), 1, eval_only=False)


@pytest.mark.parametrize(
    ("key", "value", "choice"),
    [
        ("SOLVER.OPT", "Adamm", "AdamW"),
        ("SOLVER.OPT", "LBFGS", "SGD"),  # takes no rate for each parameter
        ("SOLVER.OPT", "Muon", "Adam"),  # takes matrices alone
        ("SOLVER.SCHED", "StepLR", "MultiStepLR"),
        ("SOLVER.WARMUP_METHOD", "cosine", "linear"),
        ("INPUT.OCCLUSION.KINDS", ("shape",), "shapes"),
        ("INPUT.OCCLUSION.KINDS", (), "pieces"),
    ],
)
def test_unknown_names_list_the_choices(make_config, key: str, value: Any, choice: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_config(config(make_config, key, value), 1, eval_only=False)
    assert key in str(caught.value)
    assert choice in str(caught.value)
