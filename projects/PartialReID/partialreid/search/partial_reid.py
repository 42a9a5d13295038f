"""PartialReID: a model that searches pictures for half-hidden people and says why.

Shapes: B pictures, D global features, C channels, N_b columns of a picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeAlias, overload

import torch
from torch import Tensor, nn

from ..dsr_evaluation import DTYPES
from ..engine.checks import check_values
from ..engine.configuration import model_config
from ..engine.evaluation_network import dtype_of, evaluation_network
from ..engine.inference import load_model
from ..engine.model_header import Header
from ..engine.onnx_network import header_of
from ..images.pictures import Picture, picture_name
from ..images.reading import ImageError, Unreadable, refuse_unreadable, unreadable
from ..index.gallery import Index
from ..matching.extracted import Images
from ..runtime.device_batches import device_of
from ..runtime.progress import progress
from ..runtime.source_version import commit_of_source, version_of_source
from .answers import Answer, answers_of
from .calibration import Calibration, from_plain
from .extraction import CHUNK, Embedded, Extractor
from .gallery import Gallery
from .index_update import update_index
from .indexed import IndexedGallery
from .model_digest import model_digest
from .pair import Pair, pair_of
from .ranking import ranked
from .reasons import Reasons
from .sources import Pictures, pictures_of

AnyGallery: TypeAlias = "Gallery | IndexedGallery"
"""Pictures that can be searched: in memory, or in an index on disk."""


class PartialReID:
    """A trained network with its config, and what it is asked for.

    `PartialReID.load` makes one.

    Args:
        network: in evaluation; from images (B, 3, H, W) in 0..255 to features, columns, weights.
        cfg: its config.
        device: where it is.
        calibration: what its distances mean; None where that is not known.

    Attributes:
        skipped: files that the last call could not read and left out.
    """

    def __init__(
        self, network: nn.Module, cfg: Any, device: torch.device, calibration: Calibration | None
    ) -> None:
        self.cfg, self.calibration = cfg, calibration
        self._state = network.state_dict()
        fast = evaluation_network(network, cfg)
        self._dtype = dtype_of(fast)
        self.extractor = Extractor(fast, cfg, device)
        self.skipped: list[Unreadable] = []

    @classmethod
    def load(cls, path: str | os.PathLike[str] = "", *options: str) -> PartialReID:
        """Read a model file, or a file of ONNX, which ONNX Runtime then runs.

        Args:
            path: of the file; by default the released model.
            *options: config keys and values one after another, such as "MODEL.DEVICE", "cpu".

        Raises:
            ValueError: there is no such file, it is no model file, or a key is wrong.
        """
        cfg = model_config(os.fspath(path), list(options))
        check_values(cfg, eval_only=True)
        network = load_model(cfg, cfg.MODEL.WEIGHTS).eval()
        calibration = _calibration(header_of(cfg.MODEL.WEIGHTS))
        return cls(network, cfg, device_of(network), calibration)

    def embed(self, pictures: Picture | Iterable[Picture]) -> Embedded:
        """Features, columns and weights of pictures, in their order.

        Raises:
            OSError, ValueError: a picture cannot be read.
        """
        return self.extractor.every(pictures_of(pictures).pictures)

    def gallery(
        self, source: Picture | Iterable[Picture], *, skip_unreadable: bool = False
    ) -> Gallery:
        """Extract pictures into a gallery in memory; `index` keeps one on disk.

        Args:
            source: a folder, a table, a list; see `sources.pictures_of`.
            skip_unreadable: leave out what cannot be read; `skipped` then lists it.

        Raises:
            OSError, ValueError: there is no picture, or one cannot be read.
        """
        found = self._readable(pictures_of(source), skip_unreadable)
        kept = DTYPES[self.cfg.TEST.DSR.STORAGE]
        features, columns, weights = [], list[Tensor](), list[Tensor]()
        chunks = self.extractor.chunks(found.pictures)
        total = -(-len(found.pictures) // CHUNK)
        for _, part in progress(chunks, total, "extracting pictures", "parts"):
            features.append(part.features)
            columns += [one.to(kept) for one in part.columns]
            weights += part.weights
        return Gallery(
            Images(torch.cat(features), columns, weights),
            [picture_name(picture) for picture in found.pictures],
            found.metadata,
            found.pictures,
        )

    def index(
        self, source: str | os.PathLike[str], into: str, *, skip_unreadable: bool = False
    ) -> IndexedGallery:
        """Keep the pictures of a folder, or of a table, in an index; see docs/index_on_disk.md.

        An index that is there is brought up to date: new and changed pictures are extracted,
        pictures that are gone are removed, and the others stay as they are.

        Args:
            source: a folder, or a table (.csv) of pictures below its own folder.
            into: the folder of the index.
            skip_unreadable: leave out what cannot be read; `skipped` then lists it.

        Returns:
            The index, open for searching.

        Raises:
            OSError: a picture cannot be read, or there is no room.
            ValueError: there is no picture; or the index is damaged, of another model, of another
                folder, or written to by another process.
        """
        self.skipped = update_index(
            os.fspath(source),
            into,
            model_digest(self._state, self.cfg),
            self.extractor,
            skip_unreadable,
        )
        return self.open(into)

    def open(self, path: str) -> IndexedGallery:
        """Open an index that this model has made, for searching.

        Raises:
            ValueError: there is none, it is damaged, or another model has made it.
        """
        model = model_digest(self._state, self.cfg)
        return IndexedGallery(Index.open(path, model, device=self.extractor.device))

    @overload
    def search(self, query: Picture, gallery: AnyGallery, k: int = 10) -> Answer: ...

    @overload
    def search(self, query: list[Picture], gallery: AnyGallery, k: int = 10) -> list[Answer]: ...

    def search(
        self, query: Picture | list[Picture], gallery: AnyGallery, k: int = 10
    ) -> Answer | list[Answer]:
        """The k nearest pictures of a gallery.

        Args:
            query: a picture, or a list of them.
            gallery: that is searched.
            k: how long a list is; shorter where the gallery is.

        Returns:
            One answer for a picture, a list of answers for a list.

        Raises:
            OSError, ValueError: a query cannot be read, the gallery is empty, or k is below 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}: a list holds at least one picture.")
        if not len(gallery):
            raise ValueError("the gallery is empty: add pictures, or select by other conditions.")
        queries = query if isinstance(query, list) else [query]
        settings = self.cfg.TEST.DSR
        embedded = self.extractor.every(queries)
        answers = answers_of(
            queries,
            ranked(embedded.images(), gallery, settings, k),
            gallery,
            Reasons(self.extractor, self.cfg, queries, embedded, gallery),
            settings.DISTANCE,
            k,
            self.calibration,
            self._record(gallery),
        )
        return answers if isinstance(query, list) else answers[0]

    def compare(self, query: Picture, gallery: Picture) -> Pair:
        """How far apart two pictures are, and what the distance is the sum of.

        The numbers are those of a `search` for the first in a gallery that holds the second. The
        order of both counts: the distance is what is left over of the first once it is put
        together from the second.

        Args:
            query, gallery: two pictures.

        Raises:
            OSError, ValueError: one of them cannot be read.
        """
        answer = self.search(query, self.gallery([gallery]), k=1)
        return pair_of(answer, float(self.cfg.TEST.DSR.LAMBDA))

    def _record(self, gallery: AnyGallery) -> dict[str, Any]:
        """What the numbers of an answer depend on."""
        settings, learnt = self.cfg.TEST.DSR, self.calibration
        return {
            "version": version_of_source(),
            "commit": commit_of_source(),
            "model": os.path.basename(self.cfg.MODEL.WEIGHTS),
            "device": str(self.extractor.device),
            "inference_dtype": self._dtype,
            "gallery": len(gallery),
            "distance": settings.DISTANCE,
            "lambda": settings.LAMBDA,
            "kappa": settings.KAPPA,
            "shortlist": settings.SHORTLIST,
            "topk": settings.TOPK,
            "calibration": learnt.learnt_on if learnt else None,
        }

    def _readable(self, found: Pictures, skip: bool) -> Pictures:
        """The pictures that can be read.

        Raises:
            ImageError: some cannot, and are not to be skipped.
        """
        files = [name for picture in found.pictures if (name := picture_name(picture))]
        broken = unreadable(files)
        self.skipped = broken if skip else []
        if not skip:
            refuse_unreadable(broken, len(found.pictures), "pictures")
        names = {one.path for one in broken}
        kept = [
            (picture, known)
            for picture, known in zip(found.pictures, found.metadata, strict=True)
            if picture_name(picture) not in names
        ]
        if not kept:
            raise ImageError("none of the pictures can be read.")
        return Pictures([picture for picture, _ in kept], [known for _, known in kept])


def _calibration(header: Header) -> Calibration | None:
    return from_plain(header.calibration) if header.calibration else None
