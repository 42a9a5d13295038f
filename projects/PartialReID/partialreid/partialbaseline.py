"""The meta-architecture of FastReID-DSR: FastReID's Baseline with a second pair of losses."""

from __future__ import annotations

from typing import Any

import torch
from fastreid.config import configurable
from fastreid.modeling.losses import cross_entropy_loss, log_accuracy, triplet_loss
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY, Baseline
from torch import Tensor

from .head_outputs import HeadOutputs
from .launching import settle_device

LOSSES = ("CrossEntropyLoss", "TripletLoss")


@META_ARCH_REGISTRY.register()
class PartialBaseline(Baseline):
    """Backbone and DSRHead, on any device, in either memory format, with a flip test that works.

    Args:
        channels_last: run the backbone in channels_last memory format.
        flip_test: in evaluation, average the map of each image with the mirrored map of its mirror
            image before the head; the output has the shapes that it has without.
        **kwargs: as FastReID's Baseline.

    Raises:
        ValueError: MODEL.LOSSES.NAME holds a loss that has no counterpart on both branches.
    """

    @configurable
    def __init__(
        self, *, channels_last: bool = False, flip_test: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        unknown = [n for n in self.loss_kwargs["loss_names"] if n not in LOSSES]
        if unknown:
            raise ValueError(
                f"MODEL.LOSSES.NAME holds {', '.join(unknown)}; PartialBaseline knows "
                f"{' and '.join(LOSSES)}."
            )
        self.flip_test = flip_test
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        if channels_last:
            self.backbone.to(memory_format=torch.channels_last)

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Arguments of the constructor from the config, whose device is settled in it."""
        settle_device(cfg)
        arguments = super().from_config(cfg)
        wanted = cfg.MODEL.CHANNELS_LAST
        arguments["channels_last"] = wanted == "on" or (
            wanted == "auto" and cfg.MODEL.DEVICE == "cpu"
        )
        arguments["flip_test"] = cfg.TEST.FLIP.ENABLED
        return arguments

    def forward(self, batched_inputs: Any) -> Any:
        """Losses in training, `HeadOutputs` in evaluation.

        Args:
            batched_inputs: a dict with `images` (B, 3, H, W) in 0..255 and, in training, `targets`
                (B,), or the images alone. They may lie on another device than the model.
        """
        images = self.preprocess_image(batched_inputs)
        if not self.training:
            features = self.backbone(images)
            if self.flip_test:
                features = (features + self.backbone(images.flip(3)).flip(3)) / 2
            outputs = self.heads(features)
            return HeadOutputs(*outputs) if isinstance(outputs, tuple) else outputs

        targets = batched_inputs["targets"].to(self.device)
        # Precise batch norm marks its batches, whose classes do not matter, with targets of -1.
        if targets.sum() < 0:
            targets = torch.zeros_like(targets)
        outputs = self.heads(self.backbone(images), targets)
        return {**self.losses(outputs, targets), **self.more_losses(outputs, batched_inputs)}

    def more_losses(
        self, outputs: dict[str, Any], batched_inputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Losses that need more of the batch than its labels; none here."""
        return {}

    def preprocess_image(self, batched_inputs: Any) -> Tensor:
        """Normalise the images, without changing the batch that came in."""
        images = batched_inputs["images"] if isinstance(batched_inputs, dict) else batched_inputs
        images = images.to(self.device, dtype=self.pixel_mean.dtype, non_blocking=True)
        images = (images - self.pixel_mean) / self.pixel_std
        return images.contiguous(memory_format=self.memory_format)

    def losses(self, outputs: dict[str, Tensor], gt_labels: Tensor) -> dict[str, Tensor]:
        """Cross entropy and triplet loss of the global and of the foreground branch.

        Args:
            outputs: what DSRHead returns in training.
            gt_labels: (B,) class indices.
        """
        log_accuracy(outputs["pred_class_logits"].detach(), gt_labels)
        losses = {}
        names = self.loss_kwargs["loss_names"]
        branches = (
            ("", outputs["cls_outputs"], outputs["features"]),
            ("fore_", outputs["fore_cls_outputs"], outputs["foreground_features"]),
        )
        for prefix, logits, features in branches:
            if "CrossEntropyLoss" in names:
                ce = self.loss_kwargs["ce"]
                value = cross_entropy_loss(logits, gt_labels, ce["eps"], ce["alpha"])
                losses[f"loss_{prefix}cls"] = value * ce["scale"]
            if "TripletLoss" in names:
                tri = self.loss_kwargs["tri"]
                value = triplet_loss(
                    features, gt_labels, tri["margin"], tri["norm_feat"], tri["hard_mining"]
                )
                losses[f"loss_{prefix}triplet"] = value * tri["scale"]
        return losses
