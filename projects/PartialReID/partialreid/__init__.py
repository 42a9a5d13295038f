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
    from .dsr_distance import compute_dsr_dist
    from .dsr_evaluation import DsrEvaluator
    from .dsr_head import DSRHead, OcclusionUnit
    from .engine.trainer import PartialTrainer
    from .matching.differentiable import coded_distance, differentiable_distance, ridge_codes
    from .matching.explained import explained_lasso_pair, explained_pair
    from .matching.lasso import lasso_codes, lasso_distance
    from .matching.pyramid import pyramid_columns
    from .matching.reconstruction import (
        reconstruction_distance,
        reconstruction_distance_pairs,
        reconstruction_distance_topk,
    )
    from .metrics.ranking import rank_metrics
    from .partialbaseline import PartialBaseline
    from .search.partial_reid import PartialReID
    from .systems.dsr2018 import DSR2018, DSR2018Head
    from .systems.fpr import FPRBaseline
    from .systems.reconstruction_baseline import ReconstructionBaseline

__version__ = "0.1.0"

__all__ = [
    "DSR2018",
    "DSR2018Head",
    "DSRHead",
    "DsrEvaluator",
    "FPRBaseline",
    "OcclusionUnit",
    "PartialBaseline",
    "PartialReID",
    "PartialTrainer",
    "ReconstructionBaseline",
    "add_partialreid_config",
    "coded_distance",
    "compute_dsr_dist",
    "differentiable_distance",
    "explained_lasso_pair",
    "explained_pair",
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
    "coded_distance": "matching.differentiable",
    "compute_dsr_dist": "dsr_distance",
    "differentiable_distance": "matching.differentiable",
    "explained_lasso_pair": "matching.explained",
    "explained_pair": "matching.explained",
    "lasso_codes": "matching.lasso",
    "lasso_distance": "matching.lasso",
    "pyramid_columns": "matching.pyramid",
    "rank_metrics": "metrics.ranking",
    "reconstruction_distance": "matching.reconstruction",
    "reconstruction_distance_pairs": "matching.reconstruction",
    "reconstruction_distance_topk": "matching.reconstruction",
    "ridge_codes": "matching.differentiable",
}
# ... and these do.
_ON_FASTREID = {
    "DSR2018": "systems.dsr2018",
    "DSR2018Head": "systems.dsr2018",
    "DSRHead": "dsr_head",
    "DsrEvaluator": "dsr_evaluation",
    "FPRBaseline": "systems.fpr",
    "OcclusionUnit": "dsr_head",
    "PartialBaseline": "partialbaseline",
    "PartialReID": "search.partial_reid",
    "PartialTrainer": "engine.trainer",
    "ReconstructionBaseline": "systems.reconstruction_baseline",
    "add_partialreid_config": "config",
}
# What registers itself with FastReID when it is imported. First of all the cures.
_REGISTERED = (
    "compat",
    "baseline_cures",
    "backbones.pretrained",
    "dsr_head",
    "partialbaseline",
    "systems.dsr2018",
    "systems.fpr",
    "systems.reconstruction_baseline",
    "backbones.mobilenetv2",
    "backbones.small_resnet",
    "backbones.timm_map",
    "partial_dataset",
    "derived.dataset",
    "synthetic.dataset",
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


# A config may name the head or a data set although nobody uses the Python names. `partialreid
# --help` is not kept waiting for it.
if (
    importlib.util.find_spec("fastreid") is not None
    and not _import("commands.dispatch").lists_commands()
):
    _register()
