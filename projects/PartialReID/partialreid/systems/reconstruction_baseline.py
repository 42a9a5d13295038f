"""FPR trained as it is tested: part of a query is hidden, and a loss is on the distance itself.

Shape shorthand: B batch, H x W input.
"""

from __future__ import annotations

from typing import Any

import torch
from fastreid.config import configurable
from fastreid.modeling.losses import log_accuracy
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from torch import Tensor

from .cut_queries import Cut, choose_queries, draw_cut
from .fpr import FPRBaseline
from .part_columns import draw_part
from .reconstruction_loss import reconstruction_loss
from .running_statistics import running_statistics


@META_ARCH_REGISTRY.register()
class ReconstructionBaseline(FPRBaseline):
    """Half of a batch are queries, less visible ones, which are to find their persons in the rest.

    With INPUT.CUT.PROB above 0 the queries of some batches are cut as well. Then they and the
    gallery go through the network one after the other, as they differ in size, and batch norm
    normalises each by itself, or, by INPUT.CUT.STATISTICS running, the queries as in a test. The
    losses of FPR hold for both; the reconstruction loss is added. With
    MODEL.LOSSES.RECONSTRUCTION.PART.PROB above 0 it sees, in some batches, a part of each query
    alone.

    Args:
        reconstruction: the config node MODEL.LOSSES.RECONSTRUCTION.
        cut: the config node INPUT.CUT.
        **kwargs: as FPRBaseline.
    """

    @configurable
    def __init__(self, *, reconstruction: Any, cut: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reconstruction = reconstruction
        self.cut = cut

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Arguments of the constructor from the config."""
        return {
            **super().from_config(cfg),
            "reconstruction": cfg.MODEL.LOSSES.RECONSTRUCTION,
            "cut": cfg.INPUT.CUT,
        }

    def training_losses(
        self, images: Tensor, batched_inputs: dict[str, Tensor], targets: Tensor
    ) -> dict[str, Tensor]:
        """The losses of FPR on both halves, and the reconstruction loss between them."""
        masks = self.masks(batched_inputs)
        queries, gallery = choose_queries(targets, masks.float().mean((1, 2)))
        whole = Cut(0, images.shape[2])
        cut = draw_cut(whole.rows, self.cut.PROB, self.cut.SHARE, self.cut.STEP)
        # Of one size, both halves go through as one, so that batch norm sees all images.
        parts = [(queries, cut), (gallery, whole)]
        if cut == whole:
            parts = [(torch.cat([queries, gallery]), whole)]
        as_in_a_test = len(parts) > 1 and self.cut.STATISTICS == "running"
        if as_in_a_test:
            # The gallery first: what the queries are normalised by must not change before the
            # backward pass.
            parts.reverse()
        outputs, losses = [], dict[str, Tensor]()
        for places, kept in parts:
            rows, labels = slice(kept.top, kept.top + kept.rows), targets[places]
            part = images[places, :, rows].contiguous(memory_format=self.memory_format)
            cut_part = as_in_a_test and kept != whole
            with running_statistics(*((self.backbone, self.heads) if cut_part else ())):
                found = self.heads(self.backbone(part), labels)
            seen = {"masks": masks[places, rows]}
            of_part = {**self.losses(found, labels), **self.more_losses(found, seen, labels)}
            # Means over the part: together they are means over the batch.
            for name, value in of_part.items():
                losses[name] = losses.get(name, 0) + value * (len(places) / len(targets))
            outputs.append(found)
        logits = torch.cat([found["pred_class_logits"].detach() for found in outputs])
        log_accuracy(logits, torch.cat([targets[places] for places, _ in parts]))
        wanted = self.reconstruction
        count = len(queries)
        if as_in_a_test:
            outputs.reverse()
        first = outputs[0]
        columns = [found["columns"] for found in outputs]
        if len(columns) == 1:
            # Cut where the channels of a column lie side by side, its gradient lies so too.
            columns = [part.mT for part in columns[0].mT.split([count, len(gallery)])]
        value = reconstruction_loss(
            (columns[0], first["weights"][:count], targets[queries]),
            (columns[1], targets[gallery]),
            kappa=wanted.KAPPA,
            temperature=wanted.TEMPERATURE,
            columns=wanted.COLUMNS,
            kind=wanted.KIND,
            places=draw_part(
                first["map_size"],
                self.heads.kernels,
                self.heads.stride,
                probability=wanted.PART.PROB,
                share=wanted.PART.SHARE,
            ),
        )
        return {**losses, "loss_reconstruction": value * wanted.SCALE}
