"""Parameters that no loss of MODEL.LOSSES.NAME depends on.

DistributedDataParallel waits for a gradient of every parameter that wants one.
"""

from __future__ import annotations

import logging

from fastreid.modeling.meta_arch import Baseline
from fastreid.modeling.meta_arch.moco import MoCo
from torch import nn

logger = logging.getLogger(__name__)
# Parameters of the heads, by name and by the beginning of the name. Only the cross entropy trains
# the classifiers. The BNNecks are trained by the losses that look at the features after them.
CLASSIFIERS = ("weight", "weight_occ")
NECKS = ("bottleneck.", "bnneck_occ.")
# Losses besides the cross entropy look at the features alone. Those of a distillation, or of an
# architecture of the user's, may look at the logits too.
OF_FEATURES = (Baseline.losses, MoCo.losses)


def freeze_unreached(model: Baseline) -> None:
    """Take what no loss reaches out of the training; checkpoints keep it.

    Args:
        model: a Baseline whose losses are those of MODEL.LOSSES.NAME and others of the features.
    """
    if "CrossEntropyLoss" in model.loss_kwargs["loss_names"]:
        return
    necks = NECKS if getattr(model.heads, "neck_feat", "") == "before" else ()
    frozen = []
    for name, parameter in model.heads.named_parameters():
        if name in CLASSIFIERS or name.startswith(necks):
            parameter.requires_grad_(False)
            frozen.append(f"heads.{name}")
    logger.info(f"without CrossEntropyLoss these stay as they are: {', '.join(frozen)}")


def freeze_unreached_of_fastreid(model: nn.Module) -> None:
    """The same for FastReID's own architectures and those with their losses; else do nothing."""
    if isinstance(model, Baseline) and type(model).losses in OF_FEATURES:
        freeze_unreached(model)
