"""Configuration keys of this project, added to FastReID's.

Every number that the original wrote into its code is a key here, with the symbol of the paper.
"""

from __future__ import annotations

from typing import Any

from fastreid.config import CfgNode as CN


def add_partialreid_config(cfg: Any) -> None:
    """Add the keys of partial re-identification to a FastReID config, in place.

    Args:
        cfg: the result of `fastreid.config.get_cfg()`.
    """
    # "auto" is the GPU where there is one and the CPU elsewhere; "cuda" and "cpu" insist.
    cfg.MODEL.DEVICE = "auto"
    # Memory format of the backbone: "auto" is on for the CPU, where it is 1.5 to 2 times faster.
    cfg.MODEL.CHANNELS_LAST = "auto"  # "auto", "on", "off"

    cfg.MODEL.HEADS.DSR = CN()
    # Max-pooling windows of the pyramid, in cells of the feature map (one level for each).
    cfg.MODEL.HEADS.DSR.KERNELS = (2, 4, 6, 8)
    # Step of every window.
    cfg.MODEL.HEADS.DSR.STRIDE = 2

    # Where the data sets lie. Empty: FASTREID_DATASETS, and ./datasets without that.
    cfg.DATASETS.ROOT = ""
    # Seed of the cut or hidden queries of derived sets (Market1501Partial).
    cfg.DATASETS.DERIVED_SEED = 0
    # SyntheticPartial: seed of everything drawn, and how many identities.
    cfg.DATASETS.SYNTHETIC = CN()
    cfg.DATASETS.SYNTHETIC.SEED = 0
    cfg.DATASETS.SYNTHETIC.TRAIN_IDS = 100
    cfg.DATASETS.SYNTHETIC.TEST_IDS = 60

    cfg.TEST.DSR = CN({"ENABLED": True})
    # kappa: weight of the ridge, ||q - G w||^2 + kappa ||w||^2, for columns of unit length.
    cfg.TEST.DSR.KAPPA = 0.001
    # K: how many gallery images, the nearest by global distance, are reconstructed (0: all).
    cfg.TEST.DSR.TOPK = 100
    # Distance that the others get.
    cfg.TEST.DSR.FILL = 100.0
    # lambda: fused = (1 - lambda) * global + lambda * reconstruction.
    cfg.TEST.DSR.LAMBDA = 0.8
    # "fixed": LAMBDA is used. "oracle": the best Rank-1 over 0.00, 0.01, ..., 1.00 on the test set
    # itself, as the original does; its result is not one that a user of the method can obtain.
    cfg.TEST.DSR.LAMBDA_SELECTION = "fixed"
    # Cameras of the partial sets, which annotate none. "constant": query 0, gallery 1.
    # "filename": the second number of the file name on both sides, as the original reads it; the
    # rule that drops gallery images of the query's camera then drops true matches.
    cfg.TEST.DSR.CAMERAS = "constant"
    # Which distance the plain keys (Rank-1 ... mINP, metric) report.
    cfg.TEST.DSR.DISTANCE = "fused"  # "fused", "reconstruction", "global"
    # How the columns are kept between extraction and matching. Half formats are matched in float32,
    # float64 in float64, whose distances differ by 1e-6: enough to swap two equally near images.
    cfg.TEST.DSR.STORAGE = "float32"  # "float64", "float32", "float16", "bfloat16"
    # Memory of columns and matching, in GB (10^9 bytes), on MODEL.DEVICE, for each process. Columns
    # beyond three quarters of it lie in a file in OUTPUT_DIR that vanishes with the evaluation.
    cfg.TEST.DSR.MEMORY_GB = 2.0

    # Seed of initial weights, sampling and augmentation. Negative: drawn anew and logged.
    cfg.SEED = 0
    # Iterations between two lines of the training log.
    cfg.LOG_PERIOD = 50


CHOICES = {
    "MODEL.DEVICE": ("auto", "cuda", "cpu"),
    "MODEL.CHANNELS_LAST": ("auto", "on", "off"),
    "TEST.DSR.LAMBDA_SELECTION": ("fixed", "oracle"),
    "TEST.DSR.CAMERAS": ("constant", "filename"),
    "TEST.DSR.DISTANCE": ("fused", "reconstruction", "global"),
    "TEST.DSR.STORAGE": ("float64", "float32", "float16", "bfloat16"),
}


def config_value(cfg: Any, key: str) -> Any:
    """The value of a dotted key, such as TEST.DSR.KAPPA."""
    for part in key.split("."):
        cfg = cfg[part]
    return cfg
