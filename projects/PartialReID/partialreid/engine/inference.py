"""From a checkpoint and a config to results: load the network, run it, evaluate, report."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from fastreid.evaluation.evaluator import inference_context
from fastreid.modeling.meta_arch import build_model
from fastreid.utils import comm
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..data.loaders import build_test_loader
from ..dsr_evaluation import DsrEvaluator
from ..reporting.results_table import results_table
from ..reporting.run_record import run_record
from ..runtime.device import settle_device
from ..runtime.device_batches import device_of, on_device
from ..runtime.files import write_json
from ..runtime.freed_memory import keep_freed_memory, release_freed_memory
from ..runtime.progress import progress
from .checkpoint import classes_in, load_weights, read_checkpoint
from .evaluation_network import dtype_of, evaluation_network
from .model_file import is_onnx_file
from .onnx_network import configured_onnx

logger = logging.getLogger(__name__)
RESULTS = "results.json"


def share_buffers(model: nn.Module) -> None:
    """Give all processes the main one's batch-norm statistics, as each has collected its own."""
    if comm.get_world_size() > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, src=0)


@contextlib.contextmanager
def without_cudnn_benchmark() -> Iterator[None]:
    """Switch off CUDNN_BENCHMARK in the block.

    With it, cuDNN tries all its algorithms anew for each size of a batch and takes the fastest.
    That pays in a training, whose batches all have one size. In an evaluation images may come in
    many sizes, and the last batch is shorter than the others.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def evaluate_model(model: nn.Module, loader: Any, evaluator: DsrEvaluator) -> dict[str, float]:
    """Run a model over a test loader and evaluate its outputs.

    Returns:
        What `DsrEvaluator.evaluate` returns.
    """
    extract(model, loader, evaluator)
    return evaluator.evaluate()


def extract(model: nn.Module, loader: Any, evaluator: DsrEvaluator) -> None:
    """Run a model over a test loader; the evaluator keeps its outputs, and nothing from before."""
    evaluator.reset()
    # As in `TrainLoader.start_epoch`: before workers are forked.
    release_freed_memory()
    device = device_of(model)
    with inference_context(model), torch.inference_mode(), without_cudnn_benchmark():
        batches = progress(loader, len(loader), "extracting features")
        for inputs in batches:
            evaluator.process(inputs, model(on_device(inputs, device)))


def check_weights(cfg: Any) -> None:
    """Read what MODEL.WEIGHTS names, so that it is known to be whole before long work.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    if is_onnx_file(cfg.MODEL.WEIGHTS):
        configured_onnx(cfg, cfg.MODEL.WEIGHTS)
    else:
        read_checkpoint(cfg.MODEL.WEIGHTS)


def load_model(cfg: Any, weights: str, allow_partial: bool = False) -> nn.Module:
    """The model of a config with the weights of a checkpoint, its classes read from there.

    Of a file of ONNX it is the network that ONNX Runtime runs.

    Raises:
        ValueError: no checkpoint is given, or it cannot be read or does not fit.
    """
    if is_onnx_file(weights):
        return configured_onnx(cfg, weights)
    state = read_checkpoint(weights)["model"]
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.HEADS.NUM_CLASSES = classes_in(state)
    cfg.MODEL.BACKBONE.PRETRAIN = False
    settle_device(cfg)
    if cfg.MODEL.DEVICE == "cpu":
        keep_freed_memory()
    model = build_model(cfg)
    load_weights(model, state, weights, allow_partial)
    return model


def load_for_evaluation(cfg: Any, weights: str, allow_partial: bool = False) -> nn.Module:
    """As `load_model`, made fast by `evaluation_network`: it is for evaluating alone."""
    return evaluation_network(load_model(cfg, weights, allow_partial), cfg)


def build_evaluator(cfg: Any, name: str, keep_distances: bool = False) -> tuple[Any, DsrEvaluator]:
    """Loader of one test set and the evaluator that fits it."""
    loader, num_query = build_test_loader(cfg, name)
    images: Any = loader.dataset
    evaluator = DsrEvaluator(cfg, num_query, keep_distances=keep_distances, whole=images.whole)
    return loader, evaluator


def evaluate_test_sets(
    cfg: Any, model: nn.Module, of_model: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Evaluate on all test sets; the main process logs the table and writes results.json.

    Args:
        cfg: config.
        model: network.
        of_model: what the record says of it besides, see `training_record.training_of`.

    Returns:
        On the main process the results for each test set, or those of the only one; elsewhere an
        empty dict.
    """
    if isinstance(model, DistributedDataParallel):
        model = model.module
    share_buffers(model)
    results, reports = OrderedDict(), {}
    for name in cfg.DATASETS.TESTS:
        logger.info(f"Evaluating on {name}")
        loader, evaluator = build_evaluator(cfg, name)
        results[name] = evaluate_model(model, loader, evaluator)
        reports[name] = evaluator.report
    if not comm.is_main_process():
        return {}
    logger.info("Results in per cent:\n" + results_table(reports))
    path = os.path.join(cfg.OUTPUT_DIR, RESULTS)
    record = run_record(cfg, comm.get_world_size(), dtype_of(model))
    write_json(path, {**reports, "run": {**record, **(of_model or {})}})
    logger.info(f"Results written to {path}")
    return next(iter(results.values())) if len(results) == 1 else results
