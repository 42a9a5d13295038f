"""FastReID's own Baseline, MoCo, Distiller and EmbeddingHead, cured when this package is imported.

They can be chosen beside this package's architectures, to train a network that is evaluated by the
global distance. Three things are put right, also for what inherits from them:

- Under autocast their losses and heads work in float32, see `float32_losses` and `pyramid_head`.
- Images are normalised in a copy on the model's device. FastReID normalises the batch itself, and
  its flip test those images once more.
- MODEL.DEVICE "auto", which FastReID's `build_model` does not know, is settled when one is built.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fastreid.modeling.heads.embedding_head import EmbeddingHead
from fastreid.modeling.meta_arch import Baseline
from fastreid.modeling.meta_arch.distiller import Distiller
from fastreid.modeling.meta_arch.moco import MoCo
from torch import Tensor

from .matching.precision import at_least_float32, full_precision
from .runtime.device import settle_device


def in_float32(method: Callable[..., Any]) -> Callable[..., Any]:
    """A module's method that gets its tensors in float32, and runs outside autocast."""

    @functools.wraps(method)
    def wide(self: Any, *args: Any) -> Any:
        with full_precision(next(self.parameters()).device):
            return method(self, *map(_widened, args))

    return wide


def _widened(value: Any) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point():
        return at_least_float32(value)
    if isinstance(value, dict):
        return {name: _widened(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_widened(part) for part in value]
    return value


def _settling(from_config: Callable[[type, Any], dict[str, Any]]) -> Any:
    @functools.wraps(from_config)
    def settled(cls: type, cfg: Any) -> dict[str, Any]:
        settle_device(cfg)
        return from_config(cls, cfg)

    return classmethod(settled)


def _copying(preprocess: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    @functools.wraps(preprocess)
    def copying(self: Any, batched_inputs: Any) -> Tensor:
        images = batched_inputs["images"] if isinstance(batched_inputs, dict) else batched_inputs
        return preprocess(self, images.to(self.device, copy=True, non_blocking=True))

    return copying


for kind in (Baseline, MoCo, Distiller):
    kind.losses = in_float32(kind.losses)
EmbeddingHead.forward = in_float32(EmbeddingHead.forward)
Baseline.preprocess_image = _copying(Baseline.preprocess_image)
Baseline.from_config = _settling(Baseline.from_config.__func__)
