"""The range of every numeric config key, checked before any work.

A number out of range would otherwise fail hours later (a loss that begins at an iteration, the
choice of lambda after all distances), or pass and mean nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..config import config_value


class Range(NamedTuple):
    """What a value must be, as a test and as the end of a sentence."""

    holds: Callable[[Any], bool]
    says: str


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _from(low: int) -> Range:
    return Range(lambda x: _finite(x) and x >= low, f"it starts at {low}")


def _between(low: float, high: float) -> Range:
    return Range(lambda x: _finite(x) and low <= x <= high, f"it lies between {low} and {high}")


def _pair(low: float, high: float, example: str) -> Range:
    def holds(pair: Sequence[Any]) -> bool:
        return len(pair) == 2 and all(map(_finite, pair)) and low < pair[0] <= pair[1] <= high

    return Range(holds, f"it is two numbers such as {example}, the lower first")


POSITIVE = Range(lambda x: _finite(x) and x > 0, "it must be positive")
FINITE = Range(_finite, "it must be a finite number")
FROM_0, FROM_1, FROM_2 = _from(0), _from(1), _from(2)
SHARE = _between(0, 1)
# An image size, or what FastReID also takes: one side, or 0, which leaves the images as they are.
# Those two need a crop, which `input_sizes` sees to.
SIZE = Range(
    lambda size: len(size) in (1, 2) and all(_whole(n) and n >= 0 for n in size),
    "it is [height, width] in pixels",
)
THREE = Range(lambda x: len(x) == 3 and all(map(_finite, x)), "it is three numbers, one a channel")

# Checked for every run.
ALWAYS: dict[str, Range] = {
    "MODEL.HEADS.DSR.KERNELS": Range(
        lambda x: len(x) > 0 and all(_whole(n) and n >= 1 for n in x),
        "it is whole numbers of cells from 1, such as (2, 4, 6, 8)",
    ),
    "MODEL.HEADS.DSR.STRIDE": FROM_1,
    "MODEL.HEADS.EMBEDDING_DIM": FROM_0._replace(
        says="0 leaves the backbone's features as they are"
    ),
    "MODEL.HEADS.SCALE": POSITIVE,
    "MODEL.HEADS.MARGIN": FINITE,
    "MODEL.BACKBONE.FEAT_DIM": FROM_1,
    "MODEL.BACKBONE.LAST_STRIDE": FROM_1,
    "MODEL.BACKBONE.SIE_COE": FINITE,
    "MODEL.BACKBONE.STRIDE_SIZE": Range(
        lambda x: len(x) == 2 and all(_whole(n) and n >= 1 for n in x),
        "it is two numbers of pixels from 1, such as (16, 16)",
    ),
    "MODEL.BACKBONE.DROP_PATH_RATIO": SHARE,
    "MODEL.BACKBONE.DROP_RATIO": SHARE,
    "MODEL.BACKBONE.ATT_DROP_RATE": SHARE,
    "MODEL.QUEUE_SIZE": FROM_1,
    "MODEL.PIXEL_MEAN": THREE,
    "MODEL.PIXEL_STD": Range(
        lambda x: THREE.holds(x) and min(x) > 0, "it is three positive numbers, one a channel"
    ),
    "INPUT.SIZE_TEST": SIZE,
    "INPUT.CROP.SIZE": Range(
        lambda size: SIZE.holds(size) and min(size) > 0, "it is [height, width] in pixels"
    ),
    "INPUT.KEEP_RATIO_STEP": _from(1)._replace(says="it is a number of pixels, from 1"),
    "INPUT.KEEP_RATIO_LONGEST": _from(1)._replace(says="it starts at 1, the size of SIZE_TEST"),
    "INPUT.KEEP_RATIO_WHOLE": FROM_0._replace(
        says="it is height by width, such as 3.0, and 0 asks the gallery"
    ),
    "INPUT.DETAIL": Range(
        lambda x: SHARE.holds(x) and x > 0,
        "it is a share of the resized image, above 0, and 1 keeps all detail",
    ),
    "DATALOADER.NUM_WORKERS": FROM_0._replace(says="use 0 to load in the main process"),
    "DATASETS.SYNTHETIC.SEED": _between(0, 2**31 - 1),
    "DATASETS.SYNTHETIC.TRAIN_IDS": _between(2, 5000),
    "DATASETS.SYNTHETIC.TEST_IDS": _between(2, 5000),
    "TEST.IMS_PER_BATCH": FROM_1,
    "TEST.AQE.ALPHA": FINITE,
    "TEST.DSR.KAPPA": POSITIVE,
    "TEST.DSR.LASSO_BETA": POSITIVE,
    "TEST.DSR.LASSO_TOLERANCE": POSITIVE,
    "TEST.DSR.TOPK": FROM_0._replace(says="it is a number of images, 0 for all"),
    "TEST.DSR.COARSE.DIMENSIONS": FROM_1,
    "TEST.DSR.COARSE.KAPPA": POSITIVE,
    "TEST.DSR.COARSE.SAMPLE": FROM_1,
    # No reconstruction distance is above 1: columns have unit length, their weights sum to 1.
    "TEST.DSR.FILL": _from(1)._replace(
        says="it starts at 1, the largest distance there is: images that were not reconstructed "
        "would come before those that were"
    ),
    "TEST.DSR.LAMBDA": SHARE,
    # 10,001 values are more than any test set tells apart, and each is measured.
    "TEST.DSR.LAMBDA_STEP": _between(0.0001, 1),
    "TEST.DSR.SINGLE_SHOT_ROUNDS": FROM_2,
    "TEST.DSR.BOOTSTRAP_ROUNDS": FROM_0,
    "TEST.DSR.PROTOCOL_SEED": FROM_0,
    "TEST.DSR.MEMORY_GB": Range(
        lambda x: x == "auto" or (POSITIVE.holds(x) and x is not True),
        'it is "auto" or a positive number, of GB',
    ),
}

# Checked where there is a training.
TRAINING: dict[str, Range] = {
    "MODEL.LOSSES.CE.EPSILON": Range(
        lambda x: x == -1 or (_finite(x) and 0 <= x < 1),
        "it lies between 0 and 1, or is -1 (adaptive)",
    ),
    "MODEL.LOSSES.CE.ALPHA": SHARE,
    "MODEL.LOSSES.CE.SCALE": FROM_0,
    "MODEL.LOSSES.TRI.SCALE": FROM_0,
    "MODEL.LOSSES.CIRCLE.SCALE": FROM_0,
    "MODEL.LOSSES.COSFACE.SCALE": FROM_0,
    "MODEL.LOSSES.TRI.START_ITER": FROM_0,
    "MODEL.LOSSES.TRI.MARGIN": FROM_0._replace(says="it starts at 0, which is the soft margin"),
    "MODEL.LOSSES.CIRCLE.MARGIN": FINITE,
    "MODEL.LOSSES.CIRCLE.GAMMA": POSITIVE,
    "MODEL.LOSSES.COSFACE.MARGIN": FINITE,
    "MODEL.LOSSES.COSFACE.GAMMA": POSITIVE,
    "MODEL.LOSSES.FOREGROUND.SCALE": FROM_0,
    "MODEL.LOSSES.RECONSTRUCTION.SCALE": FROM_0,
    "MODEL.LOSSES.RECONSTRUCTION.TEMPERATURE": POSITIVE,
    "MODEL.LOSSES.RECONSTRUCTION.KAPPA": POSITIVE,
    "MODEL.LOSSES.RECONSTRUCTION.COLUMNS": FROM_1,
    "MODEL.LOSSES.RECONSTRUCTION.PART.PROB": SHARE,
    "MODEL.LOSSES.RECONSTRUCTION.PART.SHARE": _pair(0, 1, "(0.35, 0.9)"),
    "MODEL.LOSSES.VERIFICATION.SCALE": FROM_0,
    "MODEL.LOSSES.VERIFICATION.START_ITER": FROM_0,
    "MODEL.LOSSES.VERIFICATION.PAIRS": FROM_2._replace(
        says="it starts at 2, a pair of one person and a pair of two"
    ),
    "MODEL.LOSSES.VERIFICATION.LASSO_BETA": POSITIVE,
    "MODEL.LOSSES.VERIFICATION.KAPPA": POSITIVE,
    "MODEL.LOSSES.VERIFICATION.TOLERANCE": POSITIVE,
    "DATASETS.MASK_THRESHOLD": _between(1, 255),
    "KD.EMA.MOMENTUM": SHARE,
    "MODEL.HEADS.NUM_CLASSES": FROM_0._replace(says="0 counts the training identities"),
    "INPUT.SIZE_TRAIN": SIZE,
    "INPUT.CROP.SCALE": _pair(0, 1, "(0.16, 1.0)"),
    "INPUT.CROP.RATIO": _pair(0, math.inf, "(0.75, 1.33)"),
    "INPUT.FLIP.PROB": SHARE,
    "INPUT.CJ.PROB": SHARE,
    "INPUT.AUTOAUG.PROB": SHARE,
    "INPUT.AUGMIX.PROB": SHARE,
    "INPUT.REA.PROB": SHARE,
    "INPUT.RPT.PROB": SHARE,
    "INPUT.OCCLUSION.PROB": SHARE,
    "INPUT.CJ.BRIGHTNESS": FROM_0,
    "INPUT.CJ.CONTRAST": FROM_0,
    "INPUT.CJ.SATURATION": FROM_0,
    "INPUT.CJ.HUE": _between(0, 0.5),
    "INPUT.PADDING.SIZE": FROM_0,
    "INPUT.REA.VALUE": THREE,
    "INPUT.OCCLUSION.SHARE": Range(
        lambda x: _pair(0, 1, "").holds(x) and x[1] < 1,
        "it is two shares of the image such as (0.1, 0.4), above 0, below 1, the lower first",
    ),
    "INPUT.SHRINK.PROB": SHARE,
    "INPUT.SHRINK.SHARE": _pair(0, 1, "(0.4, 1.0)"),
    "INPUT.CUT.PROB": SHARE,
    "INPUT.CUT.SHARE": _pair(0, 1, "(0.55, 0.95)"),
    "INPUT.CUT.STEP": FROM_1,
    "SOLVER.MAX_EPOCH": FROM_1._replace(says="train at least one epoch"),
    "SOLVER.BASE_LR": POSITIVE,
    "SOLVER.HEADS_LR_FACTOR": FROM_0,
    "SOLVER.BIAS_LR_FACTOR": FROM_0,
    "SOLVER.MOMENTUM": SHARE,
    "SOLVER.WEIGHT_DECAY": FROM_0,
    "SOLVER.WEIGHT_DECAY_NORM": FROM_0,
    "SOLVER.WEIGHT_DECAY_BIAS": FROM_0,
    "SOLVER.DELAY_EPOCHS": FROM_0,
    "SOLVER.GAMMA": POSITIVE,
    "SOLVER.STEPS": Range(
        lambda x: all(_whole(n) and n >= 1 for n in x) and list(x) == sorted(x),
        "it is epochs from 1 in growing order, such as (30, 55)",
    ),
    "SOLVER.ETA_MIN_LR": FROM_0,
    "SOLVER.WARMUP_FACTOR": SHARE,
    "SOLVER.WARMUP_ITERS": FROM_0,
    "SOLVER.FREEZE_ITERS": FROM_0,
    "SOLVER.CHECKPOINT_PERIOD": FROM_0._replace(says="it starts at 0, the last epoch alone"),
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": POSITIVE,
    # FastReID documents .inf for the largest entry.
    "SOLVER.CLIP_GRADIENTS.NORM_TYPE": Range(lambda x: x > 0, "it must be positive"),
    "TEST.EVAL_PERIOD": FROM_0._replace(says="it starts at 0, the last epoch alone"),
    "TEST.PRECISE_BN.NUM_ITER": FROM_1,
    "LOG_PERIOD": FROM_1._replace(says="it is a number of iterations, from 1"),
}


def check_ranges(cfg: Any, eval_only: bool) -> None:
    """Check every numeric key.

    Raises:
        ValueError: a value is out of range; names the key and what it can be.
    """
    for key, wanted in {**ALWAYS, **({} if eval_only else TRAINING)}.items():
        value = config_value(cfg, key)
        if not wanted.holds(value):
            raise ValueError(f"{key} is {value}; {wanted.says}.")
