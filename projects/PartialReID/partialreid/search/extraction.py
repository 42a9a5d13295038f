"""From pictures of any kind to what the matching takes, in the order in which they were given.

Shapes: B images, D global features, C channels, N_b columns of an image.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.keep_ratio import build_test_transform, keep_ratio_resize
from ..data.size_batches import Size, image_size, size_batches
from ..data.whole_people import height_of_whole, needs_gallery, say_whole
from ..engine.inference import without_cudnn_benchmark
from ..images.pictures import Picture, picture_name, rgb_of
from ..images.reading import ImageError, Unreadable
from ..matching.extracted import Images
from ..runtime.progress import progress

# Pictures that are decoded together, so that those of one size fill batches.
CHUNK = 256
THREADS = min(4, os.cpu_count() or 1)
Network = Callable[[Tensor], Any]
"""From images (B, 3, H, W) in 0..255 to features (B, D), columns (B, C, N) and weights (B, N)."""


class Embedded(NamedTuple):
    """What a network makes of B pictures.

    Attributes:
        features: (B, D) of unit length; one minus their inner product is the global distance.
        columns: (C, N_b) of each picture, of unit length.
        weights: (N_b,) of each picture, how much each column counts in a query; their sum is 1.
    """

    features: Tensor
    columns: list[Tensor]
    weights: list[Tensor]

    def images(self) -> Images:
        """The same as the matching takes it."""
        return Images(*self)


class Extractor:
    """A network, and how it wants its images.

    Args:
        network: in evaluation; see `Network`.
        cfg: its config: INPUT says how an image is resized, TEST.IMS_PER_BATCH how many go
            through at once.
        device: where the network is.

    With INPUT.KEEP_RATIO gallery and no INPUT.KEEP_RATIO_WHOLE whole people have the proportions of
    INPUT.SIZE_TEST, until `measured` and `of_whole` say others.

    Raises:
        ValueError: the pyramid has no room in the map.
    """

    def __init__(self, network: Network, cfg: Any, device: torch.device) -> None:
        self.network, self.device = network, device
        self._cfg, self._resize = cfg, keep_ratio_resize(cfg)
        self._transform = build_test_transform(cfg, self._resize)
        self._size = tuple(cfg.INPUT.SIZE_TEST)
        self._batch = int(cfg.TEST.IMS_PER_BATCH)

    @property
    def needs_gallery(self) -> bool:
        """Whether a gallery is to say how high whole people are by the width of their pictures."""
        return needs_gallery(self._resize)

    def measured(self, pictures: Sequence[Picture]) -> float:
        """Height by width of whole people, as a gallery says; see `whole_people`. It is logged.

        Args:
            pictures: of the gallery.

        Returns:
            0 where the pictures are too few, or the config `needs_gallery` for nothing; then none
            is read.

        Raises:
            OSError, ValueError: as `pixels`.
        """
        if not self.needs_gallery:
            return 0.0
        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            found = pool.map(size_of, pictures)
            sizes = list(progress(found, len(pictures), "reading image sizes", "images"))
        say_whole(sizes)
        return height_of_whole(sizes)

    def of_whole(self, whole: float) -> Extractor:
        """The same for pictures of a gallery that says how high whole people are, and for queries.

        Args:
            whole: what `measured` gave of the gallery.
        """
        if not whole or self._resize is None or not self.needs_gallery:
            return self
        found = copy.copy(self)
        found._resize = replace(self._resize, whole=whole)
        found._transform = build_test_transform(self._cfg, found._resize)
        return found

    def chunks(
        self, pictures: Sequence[Picture], skipped: list[Unreadable] | None = None
    ) -> Iterator[tuple[list[int], Embedded]]:
        """Extract pictures chunk by chunk, so that a large folder needs little memory.

        While the network works on one chunk, the next is decoded.

        Args:
            pictures: any number.
            skipped: gets the files that cannot be read; None: the first of them is an error.

        Yields:
            The places of a chunk's pictures among all, and what was extracted, in float32 on the
            device of the network.

        Raises:
            ImageError: a file cannot be read, and `skipped` is None.
            ValueError: a picture is none; or the network gives an infinity or NaN.
        """
        starts = range(0, len(pictures), CHUNK)
        with ThreadPoolExecutor(max_workers=THREADS) as pool:

            def decode(start: int) -> list[Any]:
                some = pictures[start : start + CHUNK]
                return [pool.submit(self.pixels, picture) for picture in some]

            ahead = decode(0) if starts else []
            for start in starts:
                waiting, ahead = ahead, decode(start + CHUNK)
                places, tensors = [], []
                for place, future in enumerate(waiting, start):
                    try:
                        tensors.append(future.result())
                        places.append(place)
                    except ImageError as error:
                        if skipped is None:
                            for other in ahead:
                                other.cancel()
                            raise
                        skipped.append(Unreadable(picture_name(pictures[place]), str(error)))
                if places:
                    yield places, self._extracted(tensors)

    def every(self, pictures: Sequence[Picture]) -> Embedded:
        """Extract all pictures into memory; errors as in `chunks`."""
        parts = [part for _, part in self.chunks(pictures)]
        if not parts:
            return Embedded(torch.zeros(0, 0), [], [])
        return Embedded(
            torch.cat([part.features for part in parts]),
            [columns for part in parts for columns in part.columns],
            [weights for part in parts for weights in part.weights],
        )

    def pixels(self, picture: Picture) -> Tensor:
        """A picture as the network takes it: (3, h, w) in 0..255, resized as INPUT says.

        Raises:
            ImageError: a file cannot be read.
            ValueError: it is no picture.
        """
        tensor: Tensor = self._transform(rgb_of(picture))
        return tensor

    @torch.inference_mode()
    def _extracted(self, tensors: Sequence[Tensor]) -> Embedded:
        """Run images (3, H_b, W_b) through the network, those of one size together."""
        sizes = [(tensor.shape[1], tensor.shape[2]) for tensor in tensors]
        order = sorted(range(len(tensors)), key=sizes.__getitem__)
        pixels = self._batch * math.prod(self._size)
        features: list[Tensor] = [torch.empty(0)] * len(tensors)
        columns, weights = list(features), list(features)
        with without_cudnn_benchmark():
            for batch in size_batches(order, sizes, self._batch, pixels):
                images = torch.stack([tensors[i] for i in batch]).to(self.device)
                found, local, counts = self.network(images)
                found, local = F.normalize(found.float(), dim=1), F.normalize(local.float(), dim=1)
                finite = found.isfinite().all() & local.isfinite().all() & counts.isfinite().all()
                if not finite:
                    raise ValueError(
                        "the network gives infinite numbers or NaN: its weights are broken."
                    )
                for row, image in enumerate(batch):
                    # A clone: a view would keep the whole batch.
                    features[image] = found[row]
                    columns[image] = local[row].clone()
                    weights[image] = counts[row].float().clone()
        return Embedded(torch.stack(features), columns, weights)


def size_of(picture: Picture) -> Size:
    """Height and width of a picture; of a file its header is read, not its pixels.

    Raises:
        OSError: a file cannot be read.
        ValueError: it is no picture.
    """
    if name := picture_name(picture):
        return image_size(name)
    width, height = rgb_of(picture).size
    return height, width
