"""One index for the processes of torch.distributed: each reads a part of its images.

Shapes: B queries, g images of this process.
"""

from __future__ import annotations

from torch import Tensor

from ..matching.extracted import Images
from ..matching.sharding import Rough
from ..runtime.collectives import gather_objects, rank, world_size
from .gallery import Index

# An index that is written to may go on between one process's look and another's.
TRIES = 20


def shard(index: Index, squared: bool = False) -> tuple[Images, Rough]:
    """This process's images of an index, and the rough distance to them.

    They are what `sharding.sharded_distances` takes as this process's gallery. The images are
    numbered process by process as the index has them, and nothing is read of those of others. Their
    global features are in memory.

    Args:
        index: the same for all processes, each of which has opened it for itself.
        squared: whether the exact distance sums squared residuals.

    Raises:
        ValueError: the index is written to so often that the processes see different commits.
    """
    _agree(index)
    rows = range(len(index) * rank() // world_size(), len(index) * (rank() + 1) // world_size())

    def rough(query: Images) -> Tensor:
        return index.rough_distances(query, rows, squared)

    return index.images(rows), rough


def _agree(index: Index) -> None:
    for _ in range(TRIES):
        if len(set(gather_objects(index.commit))) == 1:
            return
        index.refresh()
    raise ValueError(
        f'the index "{index.path}" is written to all the time, so that its processes see different '
        "commits: wait until that is done."
    )
