"""Batch norm as in a test, within a training step.

Images of another size than the rest go through a network by themselves. Normalised by their own
mean and variance they look like the others, and the network never learns what a test shows it: a
cut person among the statistics of whole ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextlib.contextmanager
def running_statistics(*networks: nn.Module) -> Iterator[None]:
    """In the block, batch norm normalises by its running statistics, and leaves them as they are.

    Layers that do so anyway, because they are frozen, stay as they are afterwards, too.
    """
    norms = [
        layer
        for network in networks
        for layer in network.modules()
        if isinstance(layer, _BatchNorm) and layer.training
    ]
    for layer in norms:
        layer.eval()
    try:
        yield
    finally:
        for layer in norms:
            layer.train()
