"""Evaluation by the global, the reconstruction and the fused distance.

Shape shorthand: Q queries, G galleries, C channels, N columns.
"""

from __future__ import annotations

import itertools
import logging
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from fastreid.evaluation import ReidEvaluator
from fastreid.utils import comm
from torch import Tensor

from .dsr_distance import compute_dsr_dist
from .ranking import lambda_sweep, rank_metrics

logger = logging.getLogger(__name__)

RANKS = (1, 5, 10)
ORACLE_LAMBDAS = tuple(0.01 * i for i in range(101))
DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


# Query and gallery identities, query and gallery cameras.
Ids = tuple[Any, Any, Any, Any]


def summarize(distmat: Any, ids: Ids) -> dict[str, float]:
    """Rank-1, Rank-5, Rank-10, mAP and mINP of a distance matrix, in per cent.

    Args:
        distmat: (Q, G).
        ids: query and gallery identities, query and gallery cameras.
    """
    cmc, ap, inp = rank_metrics(distmat, *ids)
    figures = {f"Rank-{r}": float(cmc[r - 1]) * 100 for r in RANKS}
    figures["mAP"] = float(np.mean(ap)) * 100
    figures["mINP"] = float(np.mean(inp)) * 100
    return figures


def fuse(global_dist: Tensor, recon_dist: Tensor, lam: float) -> Tensor:
    """(1 - lambda) * global + lambda * reconstruction."""
    return (1 - lam) * global_dist + lam * recon_dist


class DsrEvaluator(ReidEvaluator):
    """Collects the outputs of DSRHead and ranks by three distances.

    Args:
        cfg: config; TEST.DSR says what is computed and which distance the plain keys report.
        num_query: how many of the images, the first ones, are queries.
        output_dir: unused, as in the original.
        keep_distances: keep the distance matrices after the evaluation.

    After `evaluate`, on the main process, `report` holds the figures of each distance, lambda and
    how lambda was chosen, and `distances` the matrices (Q, G) by name, if they are kept.
    """

    def __init__(
        self,
        cfg: Any,
        num_query: int,
        output_dir: str | None = None,
        keep_distances: bool = False,
    ) -> None:
        super().__init__(cfg, num_query, output_dir)
        self.keep_distances = keep_distances
        self.report: dict[str, Any] = {}
        self.distances: dict[str, Tensor] = {}

    def _compile_dependencies(self) -> None:
        """Compile nothing: FastReID runs make inside site-packages, and exits if that fails."""

    def reset(self) -> None:
        """Forget what was collected."""
        self._predictions: list[tuple[Tensor, ...]] = []

    def process(self, inputs: dict[str, Any], outputs: tuple[Tensor, ...]) -> None:
        """Keep one batch: global features, columns of unit length, weights, ids and cameras."""
        features, columns, weights = outputs
        parts = [F.normalize(features.float(), dim=1)]
        if self.cfg.TEST.DSR.ENABLED:
            dtype = DTYPES[self.cfg.TEST.DSR.STORAGE]
            exact = torch.promote_types(dtype, torch.float32)
            parts += [F.normalize(columns.to(exact), dim=1).to(dtype), weights.to(exact)]
        parts += [inputs["targets"], inputs["camids"]]
        self._predictions.append(tuple(part.cpu() for part in parts))

    def _gather(self) -> list[Tensor] | None:
        """All ranks' batches as whole tensors on the main process, None elsewhere."""
        predictions = self._predictions
        self._predictions = []
        if comm.get_world_size() > 1:
            comm.synchronize()
            predictions = list(itertools.chain(*comm.gather(predictions, dst=0)))
            if not comm.is_main_process():
                return None
        total = sum(len(batch[0]) for batch in predictions)
        whole = [torch.empty(total, *part.shape[1:], dtype=part.dtype) for part in predictions[0]]
        done = 0
        # Batches are freed as they are copied: the columns would not fit into memory twice.
        for i, batch in enumerate(predictions):
            for target, part in zip(whole, batch, strict=True):
                target[done : done + len(part)] = part
            done += len(batch[0])
            predictions[i] = ()
        return whole

    def evaluate(self) -> dict[str, float]:
        """Rank the gallery for every query.

        Returns:
            On the main process `Rank-1`, `Rank-5`, `Rank-10`, `mAP`, `mINP` in per cent and
            `metric`, the mean of Rank-1 and mAP, for the distance of TEST.DSR.DISTANCE; the same
            five under `global/`, `reconstruction/` and `fused/`. Elsewhere an empty dict.
        """
        whole = self._gather()
        if whole is None:
            return {}
        *embedded, pids, camids = whole
        n = self._num_query
        q_pids, g_pids, q_camids, g_camids = (
            x.numpy() for x in (pids[:n], pids[n:], camids[:n], camids[n:])
        )
        ids: Ids = (q_pids, g_pids, q_camids, g_camids)
        features = embedded[0].to(self._device)
        global_dist = 1 - features[:n] @ features[n:].t()

        settings = self.cfg.TEST.DSR
        distances = {"global": global_dist.cpu()}
        selected, lam = "global", None
        if settings.ENABLED:
            recon_dist = self._reconstruct(embedded[1], embedded[2], global_dist).cpu()
            lam = self._select_lambda(distances["global"], recon_dist, ids)
            distances["reconstruction"] = recon_dist
            distances["fused"] = fuse(distances["global"], recon_dist, lam)
        report: dict[str, Any] = {name: summarize(dist, ids) for name, dist in distances.items()}
        if settings.ENABLED:
            report["lambda"] = lam
            report["lambda_selection"] = settings.LAMBDA_SELECTION
            selected = settings.DISTANCE
        self.report = report
        if self.keep_distances:
            self.distances = distances

        results: dict[str, float] = OrderedDict(report[selected])
        results["metric"] = (results["Rank-1"] + results["mAP"]) / 2
        for name in ("global", "reconstruction", "fused"):
            results.update({f"{name}/{k}": v for k, v in report.get(name, {}).items()})
        return results

    @property
    def _device(self) -> torch.device:
        return torch.device(self.cfg.MODEL.DEVICE)

    def _reconstruct(self, columns: Tensor, weights: Tensor, global_dist: Tensor) -> Tensor:
        settings = self.cfg.TEST.DSR
        n = self._num_query
        logger.info(
            f"Reconstruction distance: {n} queries, {len(columns) - n} gallery images, "
            f"{columns.shape[2]} columns of {columns.shape[1]} channels, "
            f"top {settings.TOPK or 'all'}"
        )
        return compute_dsr_dist(
            columns[:n].to(self._device),
            columns[n:].to(self._device),
            global_dist,
            weights[:n].to(self._device),
            topk=settings.TOPK,
            kappa=settings.KAPPA,
            fill=settings.FILL,
            memory_bytes=int(settings.MEMORY_GB * 1e9),
        )

    def _select_lambda(self, global_dist: Tensor, recon_dist: Tensor, ids: Ids) -> float:
        settings = self.cfg.TEST.DSR
        if settings.LAMBDA_SELECTION == "fixed":
            return float(settings.LAMBDA)
        rank1, _, _ = lambda_sweep(global_dist, recon_dist, *ids, lambdas=ORACLE_LAMBDAS)
        lam = ORACLE_LAMBDAS[int(np.argmax(rank1))]
        logger.warning(
            f"lambda {lam:.2f} is an oracle's: it has the best Rank-1 on this very test set. "
            "A user of the method cannot choose it so; report TEST.DSR.LAMBDA_SELECTION fixed."
        )
        return lam
