"""Partial and occluded person re-identification on FastReID.

Importing the package cures FastReID for current Python and torch (`compat`) and registers the head,
the meta-architecture, the backbones and the data sets under their names.
"""

from . import compat  # isort: skip  (first: the other modules import FastReID)
from . import (
    backbone,
    derived_dataset,
    dsr2018,
    fpr,
    partial_dataset,
    small_backbone,
    synthetic_dataset,
)
from .config import add_partialreid_config
from .dsr_distance import compute_dsr_dist
from .dsr_evaluation import DsrEvaluator
from .dsr_head import DSRHead, OcclusionUnit
from .engine import PartialTrainer
from .partialbaseline import PartialBaseline

__all__ = [
    "DSRHead",
    "DsrEvaluator",
    "OcclusionUnit",
    "PartialBaseline",
    "PartialTrainer",
    "add_partialreid_config",
    "backbone",
    "compat",
    "compute_dsr_dist",
    "derived_dataset",
    "dsr2018",
    "fpr",
    "partial_dataset",
    "small_backbone",
    "synthetic_dataset",
]
