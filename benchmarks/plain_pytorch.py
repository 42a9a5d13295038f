"""The plain PyTorch way to evaluate: a loader, a network, `torch.cdist`, and loops over pairs.

What somebody writes in an afternoon who wants the numbers alone; nothing of it is made slower.
Shapes: Q queries, G galleries, C channels, N columns, K shortlisted of each query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.original_loop import original_loop

Items = Sequence[tuple[str, int, int]]
"""A path, an identity and a camera of each image."""
FILL = 100.0  # distance of pairs that are not reconstructed, as in the original


class Pictures(Dataset):
    """Images in 0..255 as FastReID resizes them."""

    def __init__(self, items: Items, size: Sequence[int]) -> None:
        bicubic = transforms.InterpolationMode.BICUBIC
        self.items = items
        self.transform = transforms.Compose(
            [transforms.Resize(list(size), bicubic), transforms.PILToTensor()]
        )

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> Tensor:
        """(3, H, W) in float32."""
        with Image.open(self.items[place][0]) as image:
            pixels: Tensor = self.transform(image.convert("RGB"))
        return pixels.float()


@torch.no_grad()
def extract(
    network: nn.Module, items: Items, size: Sequence[int], batch: int, workers: int
) -> list[Tensor]:
    """What the network gives for all images: one tensor for each of its outputs."""
    loader = DataLoader(Pictures(items, size), batch, num_workers=workers)
    batches: list[Any] = [network({"images": images}) for images in loader]
    parts = [outputs if isinstance(outputs, tuple) else (outputs,) for outputs in batches]
    return [torch.cat(part) for part in zip(*parts, strict=True)]


def global_distance(features: Tensor, queries: int) -> Tensor:
    """(Q, G) squared Euclidean distances of unit features, halved: one minus their cosine."""
    units = F.normalize(features, dim=1)
    return torch.cdist(units[:queries], units[queries:]).square() / 2


def reconstruction(
    near: Tensor, columns: Tensor, weights: Tensor, topk: int, kappa: float
) -> Tensor:
    """(Q, G) reconstruction distances of the K nearest by another distance, pair by pair.

    Args:
        near: (Q, G).
        columns: (Q + G, C, N), queries first.
        weights: (Q + G, N).
        topk: K.
        kappa: the ridge.
    """
    queries = len(near)
    units = F.normalize(columns, dim=1)
    shortlist = near.argsort(dim=1)[:, :topk]
    found = original_loop(units[:queries], units[queries:], weights[:queries], shortlist, kappa)
    return torch.full_like(near, FILL).scatter_(1, shortlist, found)


def ranked(distances: Tensor, items: Items) -> tuple[float, float]:
    """Rank-1 and mAP in per cent, query by query.

    Args:
        distances: (Q, G).
        items: of the queries, then of the gallery.
    """
    identities, cameras = (np.array([item[part] for item in items]) for part in (1, 2))
    queries = len(distances)
    first, precisions = [], []
    for query, row in enumerate(distances.numpy()):
        order = np.argsort(row, kind="stable") + queries
        own = identities[order] == identities[query]
        seen = own[~(own & (cameras[order] == cameras[query]))]
        places = np.flatnonzero(seen) + 1
        first.append(seen[0])
        precisions.append(np.mean(np.arange(1, len(places) + 1) / places))
    return 100 * float(np.mean(first)), 100 * float(np.mean(precisions))
