"""The coarse stage over processes: one space for all, each process indexes its own gallery."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from ..runtime.collectives import gather_objects, rank, share, sum_everywhere
from .coarse import CoarseIndex, CoarseSpace, principal_directions, second_moment
from .columns import ColumnBlocks, NotFiniteError
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
    moment = torch.zeros(channels, channels, dtype=torch.float64, device=device)
    if chosen:
        moment += second_moment(gallery.columns, chosen)
    moment = sum_everywhere(moment)
    if not moment.isfinite().all():
        raise NotFiniteError("gallery columns hold an infinity or NaN")
    # Directions are unique up to their signs only: one process decides.
    (basis,) = share([principal_directions(moment, dimensions, dtype)], 0, device)
    length = basis.shape[1] * (basis.shape[1] + 1) // 2
    space = CoarseSpace(basis, kappa, torch.zeros(length, dtype=dtype, device=device))
    mean = torch.zeros(length, dtype=torch.float64, device=device)
    if chosen:
        mean += space.packed(gallery.columns, chosen).double().sum(0)
    counts = sum(gather_objects(len(chosen)))
    space = space._replace(mean=(sum_everywhere(mean) / counts).to(dtype))
    index = CoarseIndex(space, gallery.columns)
    logger.info(
        f"coarse index of {len(blocks)} images: {basis.shape[1]} dimensions, "
        f"{length} bytes an image"
    )

    def rough(block: Images) -> Tensor:
        return index.distances(block.columns, block.weights, squared)

    return rough
