"""The meta-architecture of FastReID-DSR: FastReID's Baseline with a second pair of losses."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from fastreid.config import configurable
from fastreid.modeling.losses import log_accuracy
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY, Baseline
from fastreid.utils.events import get_event_storage
from torch import Tensor, nn

from .dsr_head import DSRHead
from .float32_losses import cross_entropy, triplet
from .unreached_parameters import freeze_unreached

LOSSES = ("CrossEntropyLoss", "TripletLoss")


def has_begun(start_iter: int) -> bool:
    """Whether a loss that begins at an iteration of the training is to be computed now.

    One that begins at once can be computed outside a training, too, where nobody counts.
    """
    return start_iter == 0 or get_event_storage().iter >= start_iter


class HeadOutputs(NamedTuple):
    """What a head gives in evaluation: a tuple of three tensors, as the original returns it.

    Shapes: B images, C channels, N columns.

    Attributes:
        features: (B, C) of the global distance.
        columns: (B, C, N) of the reconstruction distance, not normalised.
        weights: (B, N), how much each column counts in a query.
    """

    features: Tensor
    columns: Tensor
    weights: Tensor

    def cpu(self) -> HeadOutputs:
        """The same on the CPU. FastReID's DefaultPredictor asks its model's output for it."""
        return type(self)(*(part.cpu() for part in self))

    def __add__(self, other: object) -> Any:
        """Refused: columns of an image and of its mirror image show different places.

        FastReID's evaluation loop adds the two, where it is told to flip.

        Raises:
            ValueError: says how the network averages both itself.
        """
        raise ValueError(
            "outputs of an image and of its mirror image cannot be added: set TEST.FLIP.ENABLED "
            "True before the network is built, which then averages the maps of both."
        )


class FlippedOutputs(HeadOutputs):
    """What a head gives of a map that is averaged with the mirrored map of the mirror image.

    FastReID's evaluation loop runs the network on the mirror images once more, adds the outputs and
    halves the sum. The mirror images are in the outputs already, so that these stay as they are.
    """

    __slots__ = ()

    def __add__(self, other: object) -> Any:
        """The sum with the outputs of the mirror images, for `/ 2` alone."""
        return FlippedSum(self) if isinstance(other, FlippedOutputs) else NotImplemented


class FlippedSum(NamedTuple):
    """Twice the outputs of a network that flips itself: half of it is those outputs."""

    half: FlippedOutputs

    def __truediv__(self, number: float) -> FlippedOutputs:
        """The half; nothing else is asked of it."""
        return self.half if number == 2 else NotImplemented


@META_ARCH_REGISTRY.register()
class PartialBaseline(Baseline):
    """Backbone and DSRHead, on any device, in either memory format, with a flip test that works.

    Args:
        channels_last: run the backbone in channels_last memory format.
        flip_test: in evaluation, average the map of each image with the mirrored map of its mirror
            image before the head; the output has the shapes that it has without.
        **kwargs: as FastReID's Baseline.

    Raises:
        ValueError: MODEL.LOSSES.NAME is empty or holds a loss that has no counterpart on both
            branches, or the head has other outputs than the losses need.
    """

    # The head whose outputs the losses need.
    HEAD: type[nn.Module] = DSRHead

    @configurable
    def __init__(
        self, *, channels_last: bool = False, flip_test: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        own = type(self).__name__
        names = self.loss_kwargs["loss_names"]
        unknown = [name for name in names if name not in LOSSES]
        if unknown or not names:
            held = f"holds {', '.join(unknown)}" if unknown else "is empty"
            raise ValueError(f"MODEL.LOSSES.NAME {held}; {own} knows {' and '.join(LOSSES)}.")
        if not isinstance(self.heads, self.HEAD):
            raise ValueError(
                f"MODEL.HEADS.NAME is {type(self.heads).__name__}, but MODEL.META_ARCHITECTURE "
                f"{own} needs the outputs of {self.HEAD.__name__}: set it to that."
            )
        freeze_unreached(self)
        self.flip_test = flip_test
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        if channels_last:
            self.backbone.to(memory_format=torch.channels_last)

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Arguments of the constructor from the config, whose device is settled in it."""
        arguments = super().from_config(cfg)
        wanted = cfg.MODEL.CHANNELS_LAST
        arguments["channels_last"] = wanted == "on" or (
            wanted == "auto" and cfg.MODEL.DEVICE == "cpu"
        )
        arguments["flip_test"] = cfg.TEST.FLIP.ENABLED
        arguments["loss_kwargs"]["tri"]["start_iter"] = cfg.MODEL.LOSSES.TRI.START_ITER
        return arguments

    def forward(self, batched_inputs: Any) -> Any:
        """Losses in training, `HeadOutputs` in evaluation, with a flip test `FlippedOutputs`.

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
            if not isinstance(outputs, tuple):
                return outputs
            return (FlippedOutputs if self.flip_test else HeadOutputs)(*outputs)

        if "targets" not in batched_inputs:
            raise KeyError('a training batch needs "targets", the classes of its images')
        targets = batched_inputs["targets"].to(self.device, non_blocking=True)
        # Precise batch norm marks its batches, whose classes do not matter, with targets of -1. The
        # host would wait for the device where it asked for the sum itself.
        targets = targets.where(targets.sum() >= 0, torch.zeros_like(targets))
        return self.training_losses(images, batched_inputs, targets)

    def training_losses(
        self, images: Tensor, batched_inputs: dict[str, Tensor], targets: Tensor
    ) -> dict[str, Tensor]:
        """All losses of a batch of normalised images (B, 3, H, W) with their classes (B,)."""
        outputs = self.heads(self.backbone(images), targets)
        log_accuracy(outputs["pred_class_logits"].detach(), targets)
        losses = self.losses(outputs, targets)
        return {**losses, **self.more_losses(outputs, batched_inputs, targets)}

    def branches(self, outputs: dict[str, Any]) -> tuple[tuple[str, Tensor, Tensor], ...]:
        """For each branch the prefix of its losses, its class outputs and its features."""
        return (
            ("", outputs["cls_outputs"], outputs["features"]),
            ("fore_", outputs["fore_cls_outputs"], outputs["foreground_features"]),
        )

    def more_losses(
        self, outputs: dict[str, Any], batched_inputs: dict[str, Tensor], labels: Tensor
    ) -> dict[str, Tensor]:
        """Losses besides those of the branches; none here."""
        return {}

    def preprocess_image(self, batched_inputs: Any) -> Tensor:
        """Normalise the images, without changing the batch that came in."""
        images = batched_inputs["images"] if isinstance(batched_inputs, dict) else batched_inputs
        images = images.to(self.device, dtype=self.pixel_mean.dtype, non_blocking=True)
        images = (images - self.pixel_mean) / self.pixel_std
        return images.contiguous(memory_format=self.memory_format)

    def losses(self, outputs: dict[str, Any], gt_labels: Tensor) -> dict[str, Tensor]:
        """The losses of MODEL.LOSSES.NAME on each branch, in float32, as far as they have begun.

        Args:
            outputs: what the head returns in training.
            gt_labels: (B,) class indices.
        """
        losses = {}
        names = self.loss_kwargs["loss_names"]
        for prefix, logits, features in self.branches(outputs):
            if "CrossEntropyLoss" in names:
                losses[f"loss_{prefix}cls"] = cross_entropy(
                    logits, gt_labels, self.loss_kwargs["ce"]
                )
            tri = self.loss_kwargs["tri"]
            if "TripletLoss" in names and has_begun(tri.get("start_iter", 0)):
                losses[f"loss_{prefix}triplet"] = triplet(features, gt_labels, tri)
        return losses
