"""Which keys are read under which values of others.

FastReID and this package read the momentum of SGD alone, the step of lambda only where lambda is
chosen, and so on. The test of this table trains small networks with a config that notes who reads
what of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config import config_value
from ..data.catalogue import split_name

# Says why a run with a config does not read a key; "" where it does.
Reason = Callable[[Any], str]

# No code reads these, whatever else the config says; what to do instead.
NEVER = {
    "MODEL.LOSSES.FL": "FastReID has no focal loss: name another in MODEL.LOSSES.NAME",
    "DATALOADER.SET_WEIGHT": (
        "it belongs to FastReID's SetReWeightSampler, which never fills a batch: choose another "
        "DATALOADER.SAMPLER_TRAIN"
    ),
}


def _only(key: str, *values: Any) -> Reason:
    """Read where a key has one of these values."""

    def reason(cfg: Any) -> str:
        value = config_value(cfg, key)
        return "" if value in values else f"{key} is {value}"

    return reason


def _not(key: str, *values: Any) -> Reason:
    """Read where a key has none of these values."""

    def reason(cfg: Any) -> str:
        value = config_value(cfg, key)
        return f"{key} is {value}" if value in values else ""

    return reason


def _holds(*names: str) -> Reason:
    """Read with one of these losses."""

    def reason(cfg: Any) -> str:
        held = {*names} & {*cfg.MODEL.LOSSES.NAME}
        return "" if held else f"MODEL.LOSSES.NAME does not hold {' or '.join(names)}"

    return reason


def _data_set(kind: str, fits: Callable[[str], object]) -> Reason:
    """Read with a data set whose name fits."""

    def reason(cfg: Any) -> str:
        names = (*cfg.DATASETS.TESTS, *cfg.DATASETS.NAMES)
        return "" if any(map(fits, names)) else f"no data set is {kind}"

    return reason


def _suffix(name: str) -> str:
    return (split_name(name) or ("", ""))[1]


def _identities(cfg: Any) -> str:
    sampler = cfg.DATALOADER.SAMPLER_TRAIN
    return "" if "Identity" in sampler else f"DATALOADER.SAMPLER_TRAIN is {sampler}"


def _frozen(cfg: Any) -> str:
    return "" if cfg.MODEL.FREEZE_LAYERS else "MODEL.FREEZE_LAYERS is empty"


def _some_reconstructed(cfg: Any) -> str:
    dsr = cfg.TEST.DSR
    return "" if dsr.SHORTLIST != "none" and dsr.TOPK else "all gallery images are reconstructed"


def _large(cfg: Any) -> str:
    test = cfg.TEST
    compared = test.DSR.ENABLED or test.AQE.ENABLED or test.RERANK.ENABLED
    return (
        "" if compared else "TEST.DSR.ENABLED, TEST.AQE.ENABLED and TEST.RERANK.ENABLED are False"
    )


ARCHITECTURE = "MODEL.META_ARCHITECTURE"
VERIFICATION = "MODEL.LOSSES.VERIFICATION"
# Keys, or nodes with all their keys, that only a training reads. A key may have several rules.
IN_TRAINING: tuple[tuple[str, Reason], ...] = (
    ("SOLVER.MOMENTUM", _only("SOLVER.OPT", "SGD")),
    ("SOLVER.NESTEROV", _only("SOLVER.OPT", "SGD")),
    ("SOLVER.GAMMA", _only("SOLVER.SCHED", "MultiStepLR")),
    ("SOLVER.STEPS", _only("SOLVER.SCHED", "MultiStepLR")),
    ("SOLVER.ETA_MIN_LR", _only("SOLVER.SCHED", "CosineAnnealingLR")),
    ("SOLVER.WARMUP_FACTOR", _not("SOLVER.WARMUP_ITERS", 0)),
    ("SOLVER.WARMUP_METHOD", _not("SOLVER.WARMUP_ITERS", 0)),
    ("MODEL.FREEZE_LAYERS", _not("SOLVER.FREEZE_ITERS", 0)),
    ("SOLVER.FREEZE_ITERS", _frozen),
    ("DATALOADER.NUM_INSTANCE", _identities),
    ("MODEL.BACKBONE.PRETRAIN_PATH", _only("MODEL.BACKBONE.PRETRAIN", True)),
    ("MODEL.HEADS.MARGIN", _not("MODEL.HEADS.CLS_LAYER", "Linear")),
    ("MODEL.HEADS.NECK_FEAT", _holds("TripletLoss", "CircleLoss", "Cosface")),
    ("MODEL.LOSSES.CE", _holds("CrossEntropyLoss")),
    ("MODEL.LOSSES.CE.ALPHA", _only("MODEL.LOSSES.CE.EPSILON", -1)),
    ("MODEL.LOSSES.TRI", _holds("TripletLoss")),
    ("MODEL.LOSSES.CIRCLE", _holds("CircleLoss")),
    ("MODEL.LOSSES.COSFACE", _holds("Cosface")),
    ("MODEL.LOSSES.FOREGROUND", _not(ARCHITECTURE, "PartialBaseline", "DSR2018", "Baseline")),
    (VERIFICATION, _not(ARCHITECTURE, "PartialBaseline", "FPRBaseline", "Baseline")),
    (f"{VERIFICATION}.LASSO_BETA", _only(f"{VERIFICATION}.CODES", "lasso")),
    (f"{VERIFICATION}.TOLERANCE", _only(f"{VERIFICATION}.CODES", "lasso")),
    (f"{VERIFICATION}.KAPPA", _only(f"{VERIFICATION}.CODES", "ridge")),
    ("DATASETS.MASK_THRESHOLD", _not("DATASETS.MASKS", "")),
    ("KD", _only(ARCHITECTURE, "Distiller")),
)
OF_COLUMNS = (
    *("KAPPA", "CODES", "LASSO_BETA", "LASSO_TOLERANCE", "SQUARED", "TOPK", "SHORTLIST", "COARSE"),
    *("FILL", "LAMBDA", "LAMBDA_SELECTION", "LAMBDA_STEP", "DISTANCE", "STORAGE"),
)
# What an evaluation reads, alone or after a training.
IN_BOTH: tuple[tuple[str, Reason], ...] = (
    ("MODEL.CHANNELS_LAST", _not(ARCHITECTURE, "Baseline")),
    ("TEST.FLIP.ENABLED", _not(ARCHITECTURE, "Baseline")),
    ("INPUT.KEEP_RATIO_STEP", _not("INPUT.KEEP_RATIO", "off")),
    # Scaled to fit, no side becomes longer than the model's.
    ("INPUT.KEEP_RATIO_LONGEST", _not("INPUT.KEEP_RATIO", "off", "fit")),
    (
        "DATASETS.DERIVED_SEED",
        _data_set("<Name>Partial or <Name>Occluded", _suffix),
    ),
    ("DATASETS.DERIVED.KIND", _data_set("<Name>Occluded", lambda n: _suffix(n) == "Occluded")),
    ("DATASETS.DERIVED.SHARE", _data_set("<Name>Occluded", lambda n: _suffix(n) == "Occluded")),
    ("DATASETS.DERIVED.SIDES", _data_set("<Name>Partial", lambda n: _suffix(n) == "Partial")),
    ("DATASETS.DERIVED.PERCENT", _data_set("<Name>Partial", lambda n: _suffix(n) == "Partial")),
    ("DATASETS.SYNTHETIC", _data_set("SyntheticPartial", lambda n: n.startswith("Synthetic"))),
    *((f"TEST.DSR.{key}", _only("TEST.DSR.ENABLED", True)) for key in OF_COLUMNS),
    ("TEST.DSR.MEMORY_GB", _large),
    ("TEST.DSR.KAPPA", _only("TEST.DSR.CODES", "ridge")),
    ("TEST.DSR.SQUARED", _only("TEST.DSR.CODES", "ridge")),
    ("TEST.DSR.LASSO_BETA", _only("TEST.DSR.CODES", "lasso")),
    ("TEST.DSR.LASSO_TOLERANCE", _only("TEST.DSR.CODES", "lasso")),
    ("TEST.DSR.TOPK", _not("TEST.DSR.SHORTLIST", "none")),
    ("TEST.DSR.FILL", _some_reconstructed),
    ("TEST.DSR.COARSE", _some_reconstructed),
    ("TEST.DSR.COARSE", _only("TEST.DSR.SHORTLIST", "coarse")),
    ("TEST.DSR.LAMBDA", _only("TEST.DSR.LAMBDA_SELECTION", "fixed")),
    ("TEST.DSR.LAMBDA_STEP", _not("TEST.DSR.LAMBDA_SELECTION", "fixed")),
    ("TEST.DSR.SINGLE_SHOT_ROUNDS", _only("TEST.DSR.PROTOCOL", "single-shot")),
    ("TEST.DSR.BOOTSTRAP_ROUNDS", _only("TEST.DSR.PROTOCOL", "full")),
)
