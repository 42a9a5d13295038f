"""What every command that evaluates does first: all checks, then the network.

A command gets its network from `checked_model` alone, so that none can leave a check out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastreid.utils import comm
from torch import nn

from ..dsr_evaluation import DsrEvaluator
from ..keys.unread_keys import warn_of_idle_keys
from ..reporting.run_record import run_record
from .checks import check_config, check_output_dir, check_test_sets
from .evaluation_network import dtype_of
from .inference import build_evaluator, check_weights, evaluate_model, load_for_evaluation


def check_evaluation(cfg: Any, processes: int) -> None:
    """Check everything that can be checked before an evaluation.

    Args:
        cfg: config, MODEL.DEVICE resolved.
        processes: of the whole job.

    Raises:
        ValueError, OSError, RuntimeError: as the checks of `checks` and `check_weights`.
    """
    check_config(cfg, processes, eval_only=True)
    check_output_dir(cfg.OUTPUT_DIR)
    check_weights(cfg)
    check_test_sets(cfg)


def checked_model(cfg: Any, processes: int = 1, allow_partial: bool = False) -> nn.Module:
    """The network of a config whose evaluation has passed all checks.

    Args:
        cfg: config, MODEL.DEVICE resolved.
        processes: of the whole job.
        allow_partial: load a checkpoint whose keys match in part.

    Raises:
        ValueError, OSError, RuntimeError: as `check_evaluation` and `load_for_evaluation`.
    """
    check_evaluation(cfg, processes)
    if comm.is_main_process():
        warn_of_idle_keys(cfg, eval_only=True)
    return load_for_evaluation(cfg, cfg.MODEL.WEIGHTS, allow_partial)


def evaluated(cfg: Any, model: nn.Module, name: str) -> tuple[list[Any], DsrEvaluator]:
    """Evaluate on one test set and keep the distances.

    Returns:
        The images (path, identity, camera), queries first, and the evaluator with its `report`
        and, on the main process, its `distances` and `ids`.
    """
    loader, evaluator = build_evaluator(cfg, name, keep_distances=True)
    evaluate_model(model, loader, evaluator)
    return loader.dataset.img_items, evaluator


def evaluation_record(
    cfg: Any, model: nn.Module, of_model: Mapping[str, Any], processes: int = 1
) -> dict[str, Any]:
    """The record of a run that evaluates what MODEL.WEIGHTS names.

    Args:
        cfg: config.
        model: the network, loaded.
        of_model: what `training_of` said of its file when it was loaded: a training may replace it
            meanwhile.
        processes: of the whole job.

    Returns:
        What `run_record` says, and `of_model`.
    """
    return {**run_record(cfg, processes, dtype_of(model)), **of_model}
