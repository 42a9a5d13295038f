"""Which keys are read under which values of others.

FastReID and this package read the momentum of SGD alone, the step of lambda only where lambda is
chosen, and so on. The test of this table trains small networks with a config that notes who reads
what of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY

from ..config import config_value
from ..data.catalogue import people_of, split_name
from ..data.folder_set import PREFIX, FolderSet
from ..data.stock_sets import is_stock
from ..partial_dataset import PartialTestSet

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


def built_on(cfg: Any, names: Sequence[str]) -> bool:
    """Whether the architecture is one of these, or is derived from one."""
    classes = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE).__mro__
    return bool({*names} & {kind.__name__ for kind in classes})


def _built_on(*names: str) -> Reason:
    """Read by these architectures, and by those that are derived from them. No other reads it."""

    def reason(cfg: Any) -> str:
        read = built_on(cfg, names)
        return "" if read else f"MODEL.META_ARCHITECTURE is {cfg.MODEL.META_ARCHITECTURE}"

    return reason


def _data_set(kind: str, fits: Callable[[str], object]) -> Reason:
    """Read with a data set whose name fits."""

    def reason(cfg: Any) -> str:
        names = (*cfg.DATASETS.TESTS, *cfg.DATASETS.NAMES)
        return "" if any(map(fits, names)) else f"no data set is {kind}"

    return reason


def _suffix(name: str) -> str:
    return (split_name(name) or ("", ""))[1]


def _class_of(name: str) -> Any:
    """The class of a data set, or of the one that a derived set is made of."""
    name, _ = people_of(name)
    return FolderSet if name.startswith(PREFIX) else DATASET_REGISTRY.get(name)


def _may_draw(name: str) -> bool:
    """Whether a data set may draw its images by chance: of FastReID's own VehicleID alone does."""
    kind = _class_of(name)
    if is_stock(kind):
        return any(base.__name__ == "VehicleID" for base in kind.__mro__)
    # This package's own sets draw by other seeds. Nobody knows what a user's sets do.
    return kind is not FolderSet and not hasattr(kind, "arguments_from")


def _draws(cfg: Any) -> str:
    test = cfg.TEST.DSR
    if test.ENABLED and test.LAMBDA_SELECTION == "crossfit":
        return ""
    if test.PROTOCOL != "full" or test.BOOTSTRAP_ROUNDS:
        return ""
    return _data_set("drawn by chance, and nothing else is either", _may_draw)(cfg)


def _compared(cfg: Any) -> str:
    # MoCo always compares features with those of its queue.
    queue = not _built_on("MoCo")(cfg)
    return "" if queue else _holds("TripletLoss", "CircleLoss", "Cosface")(cfg)


def _neck(cfg: Any) -> str:
    heads = cfg.MODEL.HEADS
    between = heads.WITH_BNNECK or heads.EMBEDDING_DIM
    return "" if between else "MODEL.HEADS.WITH_BNNECK is False: before is after"


def _identities(cfg: Any) -> str:
    sampler = cfg.DATALOADER.SAMPLER_TRAIN
    return "" if "Identity" in sampler else f"DATALOADER.SAMPLER_TRAIN is {sampler}"


def _frozen(cfg: Any) -> str:
    return "" if cfg.MODEL.FREEZE_LAYERS else "MODEL.FREEZE_LAYERS is empty"


def _trained_otherwise(cfg: Any) -> str:
    dtype = cfg.MODEL.INFERENCE_DTYPE
    return "" if dtype == "float32" else "the evaluations of a training are in float32"


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
# Architectures that are trained with the masks of a batch.
WITH_MASKS = ("FPRBaseline",)
# Architectures that take half of a batch for queries, and can cut them.
WITH_QUERIES = ("ReconstructionBaseline",)
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
    ("MODEL.HEADS.NECK_FEAT", _compared),
    ("MODEL.HEADS.NECK_FEAT", _neck),
    ("MODEL.LOSSES.CE", _holds("CrossEntropyLoss")),
    ("MODEL.LOSSES.CE.ALPHA", _only("MODEL.LOSSES.CE.EPSILON", -1)),
    ("MODEL.LOSSES.TRI", _holds("TripletLoss")),
    ("MODEL.LOSSES.TRI.START_ITER", _built_on("PartialBaseline")),
    ("MODEL.LOSSES.CIRCLE", _holds("CircleLoss")),
    ("MODEL.LOSSES.COSFACE", _holds("Cosface")),
    ("MODEL.LOSSES.FOREGROUND", _built_on(*WITH_MASKS)),
    ("MODEL.LOSSES.RECONSTRUCTION", _built_on(*WITH_QUERIES)),
    ("MODEL.LOSSES.RECONSTRUCTION.PART.SHARE", _not("MODEL.LOSSES.RECONSTRUCTION.PART.PROB", 0)),
    ("INPUT.CUT", _built_on(*WITH_QUERIES)),
    ("INPUT.CUT.SHARE", _not("INPUT.CUT.PROB", 0)),
    ("INPUT.CUT.STEP", _not("INPUT.CUT.PROB", 0)),
    ("INPUT.CUT.STATISTICS", _not("INPUT.CUT.PROB", 0)),
    (VERIFICATION, _built_on("DSR2018")),
    (f"{VERIFICATION}.LASSO_BETA", _only(f"{VERIFICATION}.CODES", "lasso")),
    (f"{VERIFICATION}.TOLERANCE", _only(f"{VERIFICATION}.CODES", "lasso")),
    (f"{VERIFICATION}.KAPPA", _only(f"{VERIFICATION}.CODES", "ridge")),
    ("DATASETS.MASKS", _built_on(*WITH_MASKS)),
    ("DATASETS.MASK_THRESHOLD", _built_on(*WITH_MASKS)),
    ("DATASETS.MASK_THRESHOLD", _not("DATASETS.MASKS", "")),
    ("SOLVER.CLIP_GRADIENTS.NORM_TYPE", _only("SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "norm")),
    ("KD", _only(ARCHITECTURE, "Distiller")),
    ("MODEL.INFERENCE_DTYPE", _trained_otherwise),
)
OF_COLUMNS = (
    *("KAPPA", "CODES", "LASSO_BETA", "LASSO_TOLERANCE", "SQUARED", "TOPK", "SHORTLIST", "COARSE"),
    *("FILL", "LAMBDA", "LAMBDA_SELECTION", "LAMBDA_STEP", "DISTANCE", "STORAGE"),
)
# What an evaluation reads, alone or after a training.
IN_BOTH: tuple[tuple[str, Reason], ...] = (
    ("MODEL.BACKBONE.TIMM", _only("MODEL.BACKBONE.NAME", "build_timm_backbone")),
    ("MODEL.CHANNELS_LAST", _built_on("PartialBaseline")),
    ("MODEL.INFERENCE_DTYPE", _built_on("Baseline")),
    ("MODEL.HEADS.NORM", _only("MODEL.HEADS.WITH_BNNECK", True)),
    ("TEST.FLIP.ENABLED", _built_on("PartialBaseline")),
    ("INPUT.KEEP_RATIO_STEP", _not("INPUT.KEEP_RATIO", "off")),
    # Scaled to fit, no side becomes longer than the model's.
    ("INPUT.KEEP_RATIO_LONGEST", _not("INPUT.KEEP_RATIO", "off", "fit", "gallery")),
    ("INPUT.KEEP_RATIO_WHOLE", _only("INPUT.KEEP_RATIO", "gallery")),
    # Images that are not resized.
    ("INPUT.DETAIL", _not("INPUT.SIZE_TEST", [0], [0, 0])),
    (
        "DATASETS.DERIVED_SEED",
        _data_set("<Name>Partial, <Name>Occluded or <Name>Small", _suffix),
    ),
    ("DATASETS.DERIVED.KIND", _data_set("<Name>Occluded", lambda n: _suffix(n) == "Occluded")),
    ("DATASETS.DERIVED.SHARE", _data_set("<Name>Occluded", lambda n: _suffix(n) == "Occluded")),
    ("DATASETS.DERIVED.SIDES", _data_set("<Name>Partial", lambda n: _suffix(n) == "Partial")),
    ("DATASETS.DERIVED.SIZE", _data_set("<Name>Small", lambda n: _suffix(n) == "Small")),
    ("DATASETS.DERIVED.PERCENT", _data_set("<Name>Partial", lambda n: _suffix(n) == "Partial")),
    (
        "TEST.DSR.CAMERAS",
        _data_set("one of the partial sets", lambda n: issubclass(_class_of(n), PartialTestSet)),
    ),
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
    ("TEST.DSR.COARSE", _only("TEST.DSR.SHORTLIST", "coarse", "auto")),
    ("TEST.DSR.LAMBDA", _only("TEST.DSR.LAMBDA_SELECTION", "fixed")),
    ("TEST.DSR.LAMBDA_STEP", _not("TEST.DSR.LAMBDA_SELECTION", "fixed")),
    ("TEST.DSR.SINGLE_SHOT_ROUNDS", _only("TEST.DSR.PROTOCOL", "single-shot")),
    ("TEST.DSR.BOOTSTRAP_ROUNDS", _only("TEST.DSR.PROTOCOL", "full")),
    ("TEST.DSR.PROTOCOL_SEED", _draws),
)
