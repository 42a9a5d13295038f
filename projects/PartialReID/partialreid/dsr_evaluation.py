"""Evaluation by the global, the reconstruction and the fused distance.

Shape shorthand: Q queries, G galleries, C channels, N columns.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import OrderedDict
from typing import Any

import torch
from fastreid.evaluation import ReidEvaluator
from fastreid.utils import comm
from torch import Tensor

from .config import CHOICES
from .evaluation.broken_weights import broken_weights
from .evaluation.collected_outputs import CollectedOutputs
from .evaluation.configured_distances import configured_distances
from .evaluation.refinement import check_refinement, is_refined, refined_global
from .matching.columns import NotFiniteError
from .metrics.fusion import fused_distance
from .metrics.label_check import check_labels
from .metrics.ranking import Ids, matched_queries
from .metrics.report import DISTANCES, Distance, Report, report_of
from .metrics.roc import roc
from .runtime.collectives import collect, gather_objects, group_device, world_size
from .runtime.device import settle_device
from .runtime.device_clock import seconds_on
from .runtime.freed_memory import release_freed_memory
from .runtime.memory_budget import MemoryBudget, memory_budget

logger = logging.getLogger(__name__)

DTYPES = {name: getattr(torch, name) for name in CHOICES["TEST.DSR.STORAGE"]}
# With several processes, the share of a process's columns in memory that its own images may take.
# The rest is for queries that come from the others.
SHARE_OF_OWN = 0.5


class DsrEvaluator(ReidEvaluator):
    """Collects the outputs of DSRHead and ranks by three distances.

    Columns are kept and matched on the device of the outputs. A network that gives features alone,
    such as FastReID's Baseline, is ranked by the global distance; TEST.DSR.ENABLED must be False.

    Args:
        cfg: config; TEST.DSR says what is computed and which distance the plain keys report.
        num_query: how many of the images, the first ones, are queries.
        output_dir: unused, as in the original.
        keep_distances: keep the distance matrices after the evaluation.
        whole: height by width of whole people, if the gallery has said it; the report says it on.

    FastReID's METRIC, AQE and RERANK change the global distance, and with it the fused one; the
    shortlist stays that of the plain distances. ROC adds its rates under `roc`.

    After `evaluate`, on the main process, `report` holds the metrics of each distance, lambda and
    how lambda was chosen; if they are kept, `distances` holds the matrices (Q, G) by name, and
    `ids` the identities and cameras. `matching_seconds` is what the distances took.
    """

    def __init__(
        self,
        cfg: Any,
        num_query: int,
        output_dir: str | None = None,
        keep_distances: bool = False,
        whole: float = 0.0,
    ) -> None:
        settle_device(cfg)
        super().__init__(cfg, num_query, output_dir)
        self.whole = whole
        self.keep_distances = keep_distances
        self._seen: CollectedOutputs | None = None
        self.reset()

    def _compile_dependencies(self) -> None:
        """Compile nothing: FastReID runs make inside site-packages, and exits if that fails."""

    def reset(self) -> None:
        """Forget what was collected and found."""
        self.close()
        settings = self.cfg.TEST.DSR
        here = os.path.isdir(self.cfg.OUTPUT_DIR)
        self._seen = CollectedOutputs(
            DTYPES[settings.STORAGE] if settings.ENABLED else None,
            self.cfg.OUTPUT_DIR if here else tempfile.gettempdir(),
            self._budget,
        )
        self._results: dict[str, float] | None = None
        self.report: Report = {}
        self.distances: dict[Distance, Tensor] = {}
        self.ids: Ids = ([], [], [], [])
        self.matching_seconds = 0.0

    def close(self) -> None:
        """Free what was collected, and the file of columns that did not fit into memory."""
        if self._seen is not None:
            self._seen.close()
        self._seen = None

    def process(self, inputs: dict[str, Any], outputs: Any) -> None:
        """Keep one batch.

        Args:
            inputs: `targets` and `camids` (B,), identities and cameras.
            outputs: of the network in evaluation: global features (B, D), columns (B, C, N) and
                their weights (B, N), or the features alone.

        Raises:
            RuntimeError: after `evaluate`, without `reset`.
            ValueError: the network gives something else, or broken numbers.
            OSError: there is no room for the columns.
        """
        if self._seen is None:
            raise RuntimeError(
                "this evaluation is over and its columns are gone: call reset() before the first "
                "batch of the next one"
            )
        try:
            self._seen.add(outputs, inputs["targets"], inputs["camids"])
        except NotFiniteError as error:
            self.close()
            raise broken_weights(self.cfg) from error

    def evaluate(self) -> dict[str, float]:
        """Rank the gallery for every query. A second call gives the same answer.

        Returns:
            On the main process `Rank-1`, `Rank-5`, `Rank-10`, `mAP`, `mINP` in per cent and
            `metric`, the mean of Rank-1 and mAP, for the distance of TEST.DSR.DISTANCE; the same
            five under `global/`, `reconstruction/` and `fused/`. Elsewhere an empty dict.

        Raises:
            RuntimeError: an earlier call has failed.
            ValueError: too few images, or broken numbers.
        """
        if self._results is None:
            self._results = self._evaluate()
        return OrderedDict(self._results)

    def _evaluate(self) -> dict[str, float]:
        if self._seen is None:
            raise RuntimeError(
                "this evaluation has failed before and its columns are gone: call reset() and "
                "process the images anew"
            )
        release_freed_memory()
        try:
            ids = self._checked_ids(self._seen)
            start = seconds_on(self._seen.device)
            computed = configured_distances(
                self._seen, self._num_query, self.cfg.TEST.DSR, self._visitors_budget(self._seen)
            )
            # Of what is still to be done only features are needed, and much memory.
            self._seen.close()
            refined = self._refined_global(self._seen) if is_refined(self.cfg.TEST) else None
            self.matching_seconds = seconds_on(self._seen.device) - start
        except NotFiniteError as error:
            raise broken_weights(self.cfg) from error
        finally:
            self.close()
            release_freed_memory()
        if computed is None:
            return {}
        settings = self.cfg.TEST.DSR
        near, matched, shortlist = computed
        if refined is not None:
            near = refined
        distances: dict[Distance, Tensor] = {"global": near}
        selected: Distance = "global"
        chosen: Report = {}
        if matched is not None:
            distances["reconstruction"] = matched
            distances["fused"], chosen = fused_distance(near, matched, ids, settings)
            selected = settings.DISTANCE
            if settings.SHORTLIST == "auto":
                chosen["shortlist"] = shortlist
        if self.whole:
            chosen["keep_ratio_whole"] = self.whole
        report = self.report = {**report_of(distances, ids, settings), **chosen}
        if self.cfg.TEST.ROC.ENABLED:
            report["roc"] = {name: roc(distance, *ids) for name, distance in distances.items()}
        if self.keep_distances:
            self.distances, self.ids = distances, ids

        results: dict[str, float] = OrderedDict(report[selected])
        results["metric"] = (results["Rank-1"] + results["mAP"]) / 2
        for name in DISTANCES:
            metrics = {**report.get(name, {}), **report.get("roc", {}).get(name, {})}
            results.update({f"{name}/{k}": v for k, v in metrics.items()})
        return results

    def _checked_ids(self, seen: CollectedOutputs) -> Ids:
        """Identities and cameras of all processes' images; all refuse alike what has no metrics."""
        parts = gather_objects(seen.ids())
        pids, camids = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        n = self._num_query
        ids: Ids = (pids[:n], pids[n:], camids[:n], camids[n:])
        if 0 < n < len(pids):
            test = self.cfg.TEST
            check_labels(ids, test.DSR, fused=test.DSR.ENABLED, roc=test.ROC.ENABLED)
            self._check_refinement(len(pids))
            lost = n - int(matched_queries(*ids).sum())
            if lost and comm.is_main_process():
                logger.warning(
                    f"{lost} of {n} queries are left out of all metrics: no gallery image shows "
                    "their identity under another camera."
                )
        return ids

    def _budget(self, device: torch.device) -> MemoryBudget:
        """What this process's own images may take, and its matching."""
        processes = comm.get_local_size()
        budget = memory_budget(self.cfg.TEST.DSR.MEMORY_GB, device, processes)
        if world_size() == 1:
            return budget
        return budget._replace(columns=SHARE_OF_OWN * budget.columns)

    def _visitors_budget(self, seen: CollectedOutputs) -> MemoryBudget:
        """What is left of the budget for other processes' queries and for the matching."""
        budget = seen.budget or self._budget(group_device())
        return budget._replace(columns=budget.columns / SHARE_OF_OWN - seen.store.bytes_in_memory)

    def _check_refinement(self, images: int) -> None:
        """Refuse METRIC, AQE and RERANK that do not fit so many images, or the memory.

        The main process decides for all: what is free is not the same for each that asks.
        """
        refusal = ""
        if comm.is_main_process():
            try:
                check_refinement(self.cfg.TEST, images)
            except ValueError as error:
                refusal = str(error)
        refusal = gather_objects(refusal)[0]
        if refusal:
            raise ValueError(refusal)

    def _refined_global(self, seen: CollectedOutputs) -> Tensor | None:
        """The global distance of METRIC, AQE and RERANK on the main process, None elsewhere."""
        parts = collect(seen.features())
        if not parts:
            return None
        features = torch.cat([part for part in parts if part.numel()])
        n = self._num_query
        return refined_global(features[:n], features[n:], self.cfg.TEST)
