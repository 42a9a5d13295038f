"""The coarse stage over processes: one space for all, each process indexes its own gallery."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from ..runtime.collectives import gather_objects, rank, share, sum_everywhere
from .coarse import CoarseIndex
from .coarse_fit import fitted_space
from .columns import ColumnBlocks
from .extracted import Images
from .sharding import Rough

logger = logging.getLogger(__name__)
SAMPLE = 250


def build_coarse(
    gallery: Images, dimensions: int, kappa: float, *, squared: bool = False, sample: int = SAMPLE
) -> Rough | None:
    """Fit the coarse space to the gallery of all processes and index this process's part.

    Args:
        gallery: this process's images; may be empty.
        dimensions: d of the space; at most the number of channels is taken.
        kappa: ridge in it.
        squared: whether the exact distance sums squared residuals.
        sample: how many gallery images, about, determine the space; evenly spaced over all.

    Returns:
        The rough distance of a block of queries; None without any gallery image at all.

    Raises:
        NotFiniteError: a column holds an infinity or NaN.
    """
    blocks = ColumnBlocks(gallery.columns, "gallery")
    channels = max(gather_objects(blocks.channels or 0))
    sizes = gather_objects(len(blocks))
    total, first = sum(sizes), sum(sizes[: rank()])
    if not total:
        return None
    # Every so many images of all, whichever process holds them.
    step = max(1, total // sample)
    chosen = range(-first % step, len(blocks), step)
    device = gallery.features.device
    dtype = gather_objects(blocks.dtype)[sizes.index(max(sizes))]
    space = fitted_space(
        gallery.columns,
        chosen,
        torch.empty(channels, dtype=dtype, device=device),
        dimensions,
        kappa,
        images=sum(gather_objects(len(chosen))),
        summed=sum_everywhere,
        agreed=lambda basis: share([basis], 0, device)[0],
    )
    index = CoarseIndex(space, gallery.columns)
    logger.info(
        f"coarse index of {len(blocks)} images: {space.basis.shape[1]} dimensions, "
        f"{len(space.mean)} bytes an image"
    )

    def rough(block: Images) -> Tensor:
        return index.distances(block.columns, block.weights, squared)

    return rough
