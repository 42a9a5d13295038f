"""Evaluation by the global, the reconstruction and the fused distance.

Shape shorthand: Q queries, G galleries, C channels, N columns.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from fastreid.evaluation import ReidEvaluator
from torch import Tensor

from .coarse_shortlist import build_coarse
from .collectives import collect, gather_objects, rank
from .column_store import ColumnStore
from .device_clock import seconds_on
from .distance_refinement import is_refined, refined_global
from .dsr_distance import LassoMatcher, RidgeMatcher
from .figures import Ids, fused_distance, report_of
from .heap import release_freed_memory
from .launching import settle_device
from .roc import roc
from .sharding import Images, Matcher, sharded_distances

logger = logging.getLogger(__name__)

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# Of TEST.DSR.MEMORY_GB; the rest is working memory of the matching.
SHARE_OF_COLUMNS = 0.75


@dataclass
class Collected:
    """What this process has seen: batches, and for the weights single images."""

    features: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    pids: list[Tensor] = field(default_factory=list)
    camids: list[Tensor] = field(default_factory=list)


def _joined(batches: list[Tensor], dtype: torch.dtype) -> Tensor:
    return torch.cat(batches) if batches else torch.empty(0, dtype=dtype)


class DsrEvaluator(ReidEvaluator):
    """Collects the outputs of DSRHead and ranks by three distances.

    Args:
        cfg: config; TEST.DSR says what is computed and which distance the plain keys report.
        num_query: how many of the images, the first ones, are queries.
        output_dir: unused, as in the original.
        keep_distances: keep the distance matrices after the evaluation.

    FastReID's METRIC, AQE and RERANK change the global distance, and with it the fused one; the
    shortlist stays that of the plain distances. ROC adds its figures under `roc`.

    After `evaluate`, on the main process, `report` holds the figures of each distance, lambda and
    how lambda was chosen; if they are kept, `distances` holds the matrices (Q, G) by name, and
    `ids` the identities and cameras. `matching_seconds` is what the distances took.
    """

    def __init__(
        self,
        cfg: Any,
        num_query: int,
        output_dir: str | None = None,
        keep_distances: bool = False,
    ) -> None:
        settle_device(cfg)
        super().__init__(cfg, num_query, output_dir)
        self.keep_distances = keep_distances
        self._store: ColumnStore | None = None
        self.report: dict[str, Any] = {}
        self.distances: dict[str, Tensor] = {}
        self.ids: Ids | None = None
        self.matching_seconds = 0.0

    def _compile_dependencies(self) -> None:
        """Compile nothing: FastReID runs make inside site-packages, and exits if that fails."""

    def reset(self) -> None:
        """Forget what was collected."""
        self.close()
        settings = self.cfg.TEST.DSR
        self._collected = Collected()
        if settings.ENABLED:
            here = os.path.isdir(self.cfg.OUTPUT_DIR)
            self._store = ColumnStore(
                SHARE_OF_COLUMNS * settings.MEMORY_GB * 1e9,
                self.cfg.OUTPUT_DIR if here else tempfile.gettempdir(),
                self._device,
            )

    def close(self) -> None:
        """Free the columns, and the file of those that did not fit into memory."""
        if self._store is not None:
            self._store.close()
        self._store = None

    def process(self, inputs: dict[str, Any], outputs: tuple[Tensor, ...]) -> None:
        """Keep one batch: global features, columns of unit length, weights, ids, cameras."""
        features, columns, weights = outputs
        self._collected.features.append(features.float())
        self._collected.pids.append(inputs["targets"].cpu())
        self._collected.camids.append(inputs["camids"].cpu())
        if self._store is not None:
            dtype = DTYPES[self.cfg.TEST.DSR.STORAGE]
            exact = torch.promote_types(dtype, torch.float32)
            self._store.append(F.normalize(columns.to(exact), dim=1).to(dtype))
            self._collected.weights.extend(weights.to(exact))

    def evaluate(self) -> dict[str, float]:
        """Rank the gallery for every query.

        Returns:
            On the main process `Rank-1`, `Rank-5`, `Rank-10`, `mAP`, `mINP` in per cent and
            `metric`, the mean of Rank-1 and mAP, for the distance of TEST.DSR.DISTANCE; the same
            five under `global/`, `reconstruction/` and `fused/`. Elsewhere an empty dict.
        """
        release_freed_memory()
        try:
            start = seconds_on(self._device)
            computed = self._distances()
            refined = self._refined_global() if is_refined(self.cfg.TEST) else None
            self.matching_seconds = seconds_on(self._device) - start
            pids, camids = (
                torch.cat(collect(_joined(part, torch.int64)) or [torch.empty(0)]).numpy()
                for part in (self._collected.pids, self._collected.camids)
            )
        finally:
            self.close()
            release_freed_memory()
        if computed is None:
            return {}
        n = self._num_query
        ids: Ids = (pids[:n], pids[n:], camids[:n], camids[n:])
        settings = self.cfg.TEST.DSR
        near, matched = computed
        if refined is not None:
            near = refined
        distances, chosen, selected = {"global": near}, {}, "global"
        if matched is not None:
            distances["reconstruction"] = matched
            distances["fused"], chosen = fused_distance(near, matched, ids, settings)
            selected = settings.DISTANCE
        report = self.report = {**report_of(distances, ids, settings), **chosen}
        if self.cfg.TEST.ROC.ENABLED:
            report["roc"] = {name: roc(distance, *ids) for name, distance in distances.items()}
        if self.keep_distances:
            self.distances, self.ids = distances, ids

        results: dict[str, float] = OrderedDict(report[selected])
        results["metric"] = (results["Rank-1"] + results["mAP"]) / 2
        for name in ("global", "reconstruction", "fused"):
            figures = {**report.get(name, {}), **report.get("roc", {}).get(name, {})}
            results.update({f"{name}/{k}": v for k, v in figures.items()})
        return results

    @property
    def _device(self) -> torch.device:
        return torch.device(self.cfg.MODEL.DEVICE)

    def _refined_global(self) -> Tensor | None:
        """The global distance of METRIC, AQE and RERANK on the main process, None elsewhere."""
        parts = collect(_joined(self._collected.features, torch.float32))
        if not parts:
            return None
        features = torch.cat([part for part in parts if part.numel()])
        n = self._num_query
        return refined_global(features[:n], features[n:], self.cfg.TEST)

    def _distances(self) -> tuple[Tensor, Tensor | None] | None:
        """Global and reconstruction distances on the main process, None elsewhere."""
        seen = self._collected
        here = sum(len(batch) for batch in seen.features)
        counts = gather_objects(here)
        # The first images of all are the queries; each process holds a contiguous part.
        split = min(max(self._num_query - sum(counts[: rank()]), 0), here)
        features = _joined(seen.features, torch.float32)
        width = max(gather_objects(features.shape[-1]))
        features = F.normalize(features.reshape(here, width).to(self._device), dim=1)
        settings = self.cfg.TEST.DSR
        if self._store is None:
            query, gallery = (Images(part, [], []) for part in (features[:split], features[split:]))
            return sharded_distances(query, gallery, None)
        query = Images(features[:split], self._store.part(0, split), seen.weights[:split])
        gallery = Images(features[split:], self._store.part(split, here), seen.weights[split:])
        logger.info(
            f"Reconstruction distance: {self._num_query} queries, "
            f"{sum(counts) - self._num_query} gallery images, top {settings.TOPK or 'all'}, "
            f"shortlist {settings.SHORTLIST}; "
            f"{self._store.bytes_in_file / 1e9:.2f} GB of columns in a file"
        )
        working = (1 - SHARE_OF_COLUMNS) * settings.MEMORY_GB * 1e9
        matcher: Matcher = RidgeMatcher(settings.KAPPA, settings.SQUARED, int(working))
        if settings.CODES == "lasso":
            matcher = LassoMatcher(settings.LASSO_BETA, int(working))
        squared = settings.SQUARED or settings.CODES == "lasso"
        topk = 0 if settings.SHORTLIST == "none" else settings.TOPK
        rough = None
        if settings.SHORTLIST == "coarse" and 0 < topk < sum(counts) - self._num_query:
            coarse = settings.COARSE
            rough = build_coarse(gallery, coarse.DIMENSIONS, coarse.KAPPA, squared=squared)
        return sharded_distances(
            query,
            gallery,
            matcher,
            topk=topk,
            fill=settings.FILL,
            rough=rough,
            block_bytes=working,
        )
