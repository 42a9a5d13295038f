"""A default stands in one place: functions that are called by hand do what the config does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from fastreid.config import get_cfg

from partialreid import add_partialreid_config
from partialreid.config import CHOICES, config_value
from partialreid.data.keep_ratio import OFF, KeepRatioResize, target_size
from partialreid.derived import cuts
from partialreid.derived.dataset import derivation_of
from partialreid.derived.queries import Derivation
from partialreid.dsr_distance import compute_dsr_dist
from partialreid.dsr_head import OcclusionUnit
from partialreid.evaluation.matchers import LassoMatcher, RidgeMatcher
from partialreid.evaluation.refinement import expand_queries, rerank_by_features
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.differentiable import differentiable_distance, ridge_codes
from partialreid.matching.lasso import lasso_codes, lasso_distance
from partialreid.matching.pyramid import pyramid_columns
from partialreid.matching.reconstruction import (
    reconstruction_distance,
    reconstruction_distance_pairs,
    reconstruction_distance_topk,
)
from partialreid.matching.sharding import sharded_distances
from partialreid.metrics.single_shot import single_shot
from partialreid.metrics.uncertainty import bootstrap_intervals
from partialreid.partial_dataset import PartialTestSet
from partialreid.pyramid_head import PyramidHead
from partialreid.synthetic.dataset import SyntheticPartial
from partialreid.systems.fpr import FPRBaseline
from partialreid.systems.verification_loss import verification_loss

KAPPA, BETA, TOLERANCE = "TEST.DSR.KAPPA", "TEST.DSR.LASSO_BETA", "TEST.DSR.LASSO_TOLERANCE"
KERNELS, STRIDE, POOL = (f"MODEL.HEADS.DSR.{name}" for name in ("KERNELS", "STRIDE", "POOL"))
LOSS = "MODEL.LOSSES.VERIFICATION"
# What a function takes where nothing is given, and the key of the same meaning.
DEFAULTS: tuple[tuple[Callable[..., Any], dict[str, str]], ...] = (
    (reconstruction_distance, {"kappa": KAPPA, "squared": "TEST.DSR.SQUARED"}),
    (reconstruction_distance_pairs, {"kappa": KAPPA, "squared": "TEST.DSR.SQUARED"}),
    (reconstruction_distance_topk, {"kappa": KAPPA, "squared": "TEST.DSR.SQUARED"}),
    (differentiable_distance, {"kappa": KAPPA, "squared": "TEST.DSR.SQUARED"}),
    (ridge_codes, {"kappa": KAPPA}),
    (compute_dsr_dist, {"kappa": KAPPA, "topk": "TEST.DSR.TOPK", "fill": "TEST.DSR.FILL"}),
    (sharded_distances, {"fill": "TEST.DSR.FILL"}),
    (RidgeMatcher, {"kappa": KAPPA, "squared": "TEST.DSR.SQUARED"}),
    (LassoMatcher, {"beta": BETA, "tolerance": TOLERANCE}),
    (lasso_codes, {"beta": BETA, "tolerance": TOLERANCE}),
    (lasso_distance, {"beta": BETA, "tolerance": TOLERANCE}),
    (build_coarse, {"sample": "TEST.DSR.COARSE.SAMPLE"}),
    (pyramid_columns, {"kernels": KERNELS, "stride": STRIDE, "pool": POOL}),
    (PyramidHead, {"kernels": KERNELS, "stride": STRIDE, "pool": POOL}),
    (OcclusionUnit, {"kernels": KERNELS, "stride": STRIDE, "pool": POOL}),
    (
        verification_loss,
        {
            "codes": f"{LOSS}.CODES",
            "beta": f"{LOSS}.LASSO_BETA",
            "kappa": f"{LOSS}.KAPPA",
            "tolerance": f"{LOSS}.TOLERANCE",
        },
    ),
    (FPRBaseline, {"foreground_scale": "MODEL.LOSSES.FOREGROUND.SCALE"}),
    (single_shot, {"rounds": "TEST.DSR.SINGLE_SHOT_ROUNDS"}),
    (bootstrap_intervals, {"rounds": "TEST.DSR.BOOTSTRAP_ROUNDS"}),
    (PartialTestSet, {"cameras": "TEST.DSR.CAMERAS"}),
    (
        SyntheticPartial,
        {
            "synthetic_seed": "DATASETS.SYNTHETIC.SEED",
            "synthetic_train_ids": "DATASETS.SYNTHETIC.TRAIN_IDS",
            "synthetic_test_ids": "DATASETS.SYNTHETIC.TEST_IDS",
        },
    ),
    (target_size, {"longest": "INPUT.KEEP_RATIO_LONGEST", "whole": "INPUT.KEEP_RATIO_WHOLE"}),
    (KeepRatioResize, {"longest": "INPUT.KEEP_RATIO_LONGEST", "whole": "INPUT.KEEP_RATIO_WHOLE"}),
    # FastReID's keys.
    (
        expand_queries,
        {"k": "TEST.AQE.QE_K", "alpha": "TEST.AQE.ALPHA", "times": "TEST.AQE.QE_TIME"},
    ),
    (
        rerank_by_features,
        {"k1": "TEST.RERANK.K1", "k2": "TEST.RERANK.K2", "lam": "TEST.RERANK.LAMBDA"},
    ),
)


def defaults() -> Any:
    cfg = get_cfg()
    add_partialreid_config(cfg)
    return cfg


@pytest.mark.parametrize(("function", "keys"), DEFAULTS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_function_and_the_config_have_one_default(
    function: Callable[..., Any], keys: dict[str, str]
) -> None:
    parameters = inspect.signature(function).parameters
    cfg = defaults()
    for name, key in keys.items():
        assert parameters[name].default == config_value(cfg, key), name


def test_queries_are_derived_by_the_defaults_of_the_config() -> None:
    assert derivation_of(defaults()) == Derivation()
    # The range that the folder with the published name holds.
    assert Derivation().percent == (cuts.MIN_PERCENT, cuts.MAX_PERCENT)


def test_every_default_is_one_of_the_choices() -> None:
    cfg = defaults()
    for key, choices in CHOICES.items():
        assert config_value(cfg, key) in choices, key


def test_images_keep_their_proportions_by_every_policy() -> None:
    for policy in CHOICES["INPUT.KEEP_RATIO"]:
        if policy != OFF:
            assert target_size((100, 50), (256, 128), policy, 16, (64, 64)) == (256, 128)
