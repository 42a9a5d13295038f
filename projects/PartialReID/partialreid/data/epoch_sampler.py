"""The order of training images: it depends on the seed, the epoch and the rank alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from fastreid.data import samplers
from torch.utils.data import Sampler


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """A 31-bit seed from the seed of the run, the epoch and the rank."""
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0] >> 1)


def drawn_seed() -> int:
    """A 31-bit seed that is another one each time."""
    return int(np.random.SeedSequence().generate_state(1)[0] >> 1)


class SeededImbalancedSampler(samplers.ImbalancedDatasetSampler):
    """FastReID's sampler, drawing from its seed.

    FastReID's seeds numpy and draws from torch's global generator, so that the ranks do not share
    one stream.
    """

    def _infinite_indices(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed)
        while True:
            drawn = torch.multinomial(self.weights, self._size, True, generator=generator)
            yield from drawn.tolist()


class EpochSampler(Sampler):
    """Index stream of one rank that starts anew, from SEED and the epoch, at every `iter`.

    FastReID's samplers run one endless stream from one seed, so that a resumed run sees other
    batches than an uninterrupted one. Here the epoch determines the stream.

    Args:
        cfg: config.
        items: training images.
        batch_size: images of one rank in a batch.
    """

    def __init__(self, cfg: Any, items: Sequence[Any], batch_size: int) -> None:
        self.cfg = cfg
        self.items = list(items)
        self.batch_size = batch_size
        self.epoch = 0

    def _build(self, seed: int) -> Sampler:
        name = self.cfg.DATALOADER.SAMPLER_TRAIN
        instances = self.cfg.DATALOADER.NUM_INSTANCE
        if name == "TrainingSampler":
            return samplers.TrainingSampler(len(self.items), seed=seed)
        if name == "ImbalancedDatasetSampler":
            return SeededImbalancedSampler(self.items, seed=seed)
        kind = getattr(samplers, name)
        return kind(self.items, self.batch_size, instances, seed=seed)

    def __iter__(self) -> Iterator[int]:
        """Endless indices of the current epoch."""
        return _by_itself(iter(self._build(epoch_seed(self.cfg.SEED, self.epoch))))


def _by_itself(indices: Iterator[int]) -> Iterator[int]:
    """What a sampler draws from numpy's global state, without leaving that state to others.

    FastReID's samplers seed it, alike in all ranks. Where images are changed in this process, with
    DATALOADER.NUM_WORKERS 0, all ranks would else put the same objects before their images, and the
    order of images would depend on how many numbers these objects took.
    """
    own: Any = None
    while True:
        others = np.random.get_state()
        if own is not None:
            np.random.set_state(own)
        index = next(indices)
        own = np.random.get_state()
        np.random.set_state(others)
        yield index
