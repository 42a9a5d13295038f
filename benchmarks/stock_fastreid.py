"""FastReID as PyPI ships it, evaluating on a CPU: its images, network, loop, distance and ranking.

Three things of it cannot run here, and stand in their nearest form: its loader wants CUDA, so
PyTorch's own takes its place, with as many workers; its evaluator compiles a Cython extension
inside site-packages, which is left out, so that it ranks in Python, as where nobody could compile;
and it is imported with the shims of `partialreid.compat`.
"""

from __future__ import annotations

from typing import Any

from fastreid.data.build import fast_batch_collator
from fastreid.data.common import CommDataset
from fastreid.data.transforms import build_transforms
from fastreid.evaluation import ReidEvaluator
from fastreid.modeling.meta_arch import build_model
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.plain_pytorch import Items

WORKERS = 4  # FastReID's, whatever the config says


class StockEvaluator(ReidEvaluator):
    """FastReID's own, which does not run `make`."""

    def _compile_dependencies(self) -> None:
        pass


def stock_config(cfg: Any) -> Any:
    """The same network with FastReID's own architecture and head, which give features alone."""
    stock = cfg.clone()
    stock.defrost()
    stock.MODEL.META_ARCHITECTURE, stock.MODEL.HEADS.NAME = "Baseline", "EmbeddingHead"
    stock.TEST.DSR.ENABLED = False
    return stock


def stock_network(cfg: Any, backbone: nn.Module) -> nn.Module:
    """The network of `stock_config` with the weights of a backbone, in evaluation."""
    network: Any = build_model(cfg)
    network.backbone.load_state_dict(backbone.state_dict())
    return network.eval()


def stock_loader(cfg: Any, items: Items) -> DataLoader:
    """Batches of images as FastReID reads and resizes them."""
    images = CommDataset(list(items), build_transforms(cfg, is_train=False), relabel=False)
    return DataLoader(
        images, cfg.TEST.IMS_PER_BATCH, num_workers=WORKERS, collate_fn=fast_batch_collator
    )
