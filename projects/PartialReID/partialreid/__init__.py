"""Partial and occluded person re-identification on FastReID.

The distances, the pyramid and the ranking need torch and numpy alone. Where FastReID is installed,
importing the package cures it for current Python and torch (`compat`) and registers heads,
meta-architectures, backbones and data sets under their names.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import add_partialreid_config
    from .dsr2018 import DSR2018, DSR2018Head
    from .dsr_distance import compute_dsr_dist
    from .dsr_evaluation import DsrEvaluator
    from .dsr_head import DSRHead, OcclusionUnit
    from .engine import PartialTrainer
    from .fpr import FPRBaseline
    from .lasso import lasso_codes, lasso_distance
    from .pair_distance import coded_distance, differentiable_distance, ridge_codes
    from .partialbaseline import PartialBaseline
    from .pyramid import pyramid_columns
    from .ranking import rank_metrics
    from .reconstruction import (
        reconstruction_distance,
        reconstruction_distance_pairs,
        reconstruction_distance_topk,
    )

__version__ = "0.1.0"

__all__ = [
    "DSR2018",
    "DSR2018Head",
    "DSRHead",
    "DsrEvaluator",
    "FPRBaseline",
    "OcclusionUnit",
    "PartialBaseline",
    "PartialTrainer",
    "add_partialreid_config",
    "coded_distance",
    "compute_dsr_dist",
    "differentiable_distance",
    "lasso_codes",
    "lasso_distance",
    "pyramid_columns",
    "rank_metrics",
    "reconstruction_distance",
    "reconstruction_distance_pairs",
    "reconstruction_distance_topk",
    "ridge_codes",
]

# The modules that the names come from. These need no FastReID ...
_PURE = {
    "coded_distance": "pair_distance",
    "compute_dsr_dist": "dsr_distance",
    "differentiable_distance": "pair_distance",
    "lasso_codes": "lasso",
    "lasso_distance": "lasso",
    "pyramid_columns": "pyramid",
    "rank_metrics": "ranking",
    "reconstruction_distance": "reconstruction",
    "reconstruction_distance_pairs": "reconstruction",
    "reconstruction_distance_topk": "reconstruction",
    "ridge_codes": "pair_distance",
}
# ... and these do.
_ON_FASTREID = {
    "DSR2018": "dsr2018",
    "DSR2018Head": "dsr2018",
    "DSRHead": "dsr_head",
    "DsrEvaluator": "dsr_evaluation",
    "FPRBaseline": "fpr",
    "OcclusionUnit": "dsr_head",
    "PartialBaseline": "partialbaseline",
    "PartialTrainer": "engine",
    "add_partialreid_config": "config",
}
# What registers itself with FastReID when it is imported. First of all the cures.
_REGISTERED = (
    "compat",
    "pretrained",
    "dsr_head",
    "partialbaseline",
    "dsr2018",
    "fpr",
    "backbone",
    "small_backbone",
    "partial_dataset",
    "derived_dataset",
    "synthetic_dataset",
)


def _import(name: str) -> Any:
    return importlib.import_module(f".{name}", __name__)


def _register() -> None:
    """Cure FastReID and register everything with it.

    Raises:
        ImportError: FastReID is missing or another version; says how to install it.
    """
    for name in _REGISTERED:
        _import(name)


def __getattr__(name: str) -> Any:
    """Import a name of `__all__` when it is first used, so that the pure ones need no FastReID."""
    if name in _ON_FASTREID:
        _register()
    elif name not in _PURE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import(_PURE.get(name) or _ON_FASTREID[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# A config may name the head or a data set although nobody uses the Python names.
if importlib.util.find_spec("fastreid") is not None:
    _register()
