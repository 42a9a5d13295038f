"""What distances depend on besides the weights, and whether a calibration speaks of them.

A calibration turns one number into a probability. The same number means something else once lambda,
kappa or the size of the images is another, so that it speaks only of what it was learnt with.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..config import config_value
from ..engine.configuration import tree_config
from ..engine.saved_model import stored_calibration, stored_config
from ..evaluation.refinement import is_refined
from .calibration import Calibration, from_plain
from .model_digest import KEYS, LATER

logger = logging.getLogger(__name__)
RIDGE = ("TEST.DSR.KAPPA", "TEST.DSR.SQUARED")
LASSO = ("TEST.DSR.LASSO_BETA", "TEST.DSR.LASSO_TOLERANCE")
# Of a shortlist, and of the rough distance that one may be made by.
LISTED = ("TEST.DSR.TOPK", "TEST.DSR.FILL")
COARSE = tuple(f"TEST.DSR.COARSE.{name}" for name in ("DIMENSIONS", "KAPPA", "SAMPLE"))
# With these values the global distance of an evaluation is the one that a search computes.
UNREFINED = {"TEST.METRIC": "cosine", "TEST.AQE.ENABLED": False, "TEST.RERANK.ENABLED": False}


def require_unrefined(cfg: Any) -> None:
    """Check that a config asks for no distance of test sets alone, which a search cannot compute.

    Query expansion and re-ranking compare all images with each other.

    Args:
        cfg: config of a model.

    Raises:
        ValueError: TEST.METRIC, AQE or RERANK asks for one; names the key.
    """
    if not is_refined(cfg.TEST):
        return
    others = [key for key, value in UNREFINED.items() if config_value(cfg, key) != value]
    said = " and ".join(f"{key} is {config_value(cfg, key)}" for key in others)
    cure = " ".join(f"{key} {UNREFINED[key]}" for key in others)
    raise ValueError(
        f"{said}, which the evaluation of a test set reads, and no search: set {cure}."
    )


def distance_settings(cfg: Any) -> dict[str, Any]:
    """The keys that the distances of a ranked list depend on, with their values, plain ones.

    Keys that the chosen distance does not read are left out, and so are those that change it by
    rounding alone, such as the dtypes.

    Args:
        cfg: config of a model.
    """
    settings, keys = cfg.TEST.DSR, [*KEYS, "TEST.DSR.DISTANCE"]
    if settings.DISTANCE == "fused":
        keys.append("TEST.DSR.LAMBDA")
    if settings.DISTANCE != "global":
        keys += ["TEST.DSR.CODES", *(LASSO if settings.CODES == "lasso" else RIDGE)]
        keys.append("TEST.DSR.SHORTLIST")
        keys += [] if settings.SHORTLIST == "none" else LISTED
        # "auto" may take a coarse one.
        keys += COARSE if settings.SHORTLIST in ("coarse", "auto") else []
    values = {key: config_value(cfg, key) for key in keys}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


def differing(learnt: Mapping[str, Any], used: Mapping[str, Any]) -> list[str]:
    """The keys in which two `distance_settings` differ, "KEY first, here second".

    A key that only one of them knows is left out: the one that decides whether it is read differs.
    """
    return [
        f"{key} {learnt[key]}, here {value}"
        for key, value in used.items()
        if key in learnt and learnt[key] != value
    ]


def calibration_for(cfg: Any) -> Calibration | None:
    """What the distances of a model mean, whose config may have been changed.

    Args:
        cfg: config, whose MODEL.WEIGHTS names the model.

    Returns:
        None where that is not known; where it is known of other distances, the log says of which.

    Raises:
        OSError, ValueError: as `stored_config`, or the calibration is damaged.
    """
    path = cfg.MODEL.WEIGHTS
    stored = stored_calibration(path)
    if stored is None:
        return None
    found = from_plain(stored)
    # One that was written before settings were is of those that the file itself has.
    learnt = found.settings or distance_settings(tree_config(*stored_config(path), []))
    # One that was written before a key was there is of what was done then.
    learnt = {**LATER, **learnt}
    if others := differing(learnt, distance_settings(cfg)):
        logger.warning(
            f'no verdicts: the calibration of "{path}" was learnt with {"; ".join(others)}. Leave '
            "that out or, for verdicts with it, write it into a model file of its own by "
            "`partialreid export` and learn them by `partialreid calibrate`."
        )
        return None
    return found
