"""PartialReID: a model that searches pictures for half-hidden people and says why.

Shapes: B pictures, D global features, C channels, N_b columns of a picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, overload

import torch
from torch import nn

from ..dsr_evaluation import DTYPES
from ..engine.checks import check_values
from ..engine.configuration import model_config
from ..engine.evaluation_network import dtype_of, evaluation_network
from ..engine.inference import load_model
from ..images.pictures import Picture, is_picture, no_picture
from ..images.reading import Unreadable
from ..index.gallery import Index
from ..runtime.device_batches import device_of
from .answer_record import answer_record
from .answers import Answer, Answers, answers_of
from .calibration import Calibration
from .distance_settings import calibration_for, require_unrefined
from .extraction import Embedded, Extractor
from .gallery import Gallery, extracted_gallery
from .index_update import update_index
from .indexed import IndexedGallery
from .model_digest import model_digest
from .pair import Pair, pair_of
from .ranking import ranked
from .reasons import Reasons
from .searchable import AnyGallery, require_searchable
from .sources import Pictures, listed, pictures_of, readable
from .stamped import Stamped


class PartialReID:
    """A trained network with its config, and what it is asked for.

    `PartialReID.load` makes one.

    Args:
        network: in evaluation; from images (B, 3, H, W) in 0..255 to features, columns, weights.
        cfg: its config.
        device: where it is.
        calibration: what its distances mean; None where that is not known of these.

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
        """Read a model file, a checkpoint with its config, or ONNX, which ONNX Runtime then runs.

        Args:
            path: of the file; by default the released model. A checkpoint that does not hold its
                config needs it beside it, as config.yaml.
            *options: config keys and values one after another, such as "MODEL.DEVICE", "cpu".

        Raises:
            ValueError: there is no such file, it is no model or has no config, or a key is wrong
                or asks for a distance that a search does not compute.
        """
        cfg = model_config(os.fspath(path), list(options))
        check_values(cfg, eval_only=True)
        require_unrefined(cfg)
        network = load_model(cfg, cfg.MODEL.WEIGHTS).eval()
        return cls(network, cfg, device_of(network), calibration_for(cfg))

    def embed(self, pictures: Picture | Iterable[Picture]) -> Embedded:
        """Features, columns and weights of pictures, in their order.

        They belong to no gallery: INPUT.KEEP_RATIO gallery takes whole people to be as high by
        their width as INPUT.KEEP_RATIO_WHOLE says or, where that is 0, as INPUT.SIZE_TEST is.

        Raises:
            OSError, ValueError: a picture cannot be read.
        """
        found, _ = readable(pictures_of(pictures), skip=False)
        return self.extractor.every(found.pictures)

    def gallery(
        self,
        source: Picture | Iterable[Picture],
        *,
        skip_unreadable: bool = False,
        whole: float | None = None,
    ) -> Gallery:
        """Extract pictures into a gallery in memory; `index` keeps one on disk.

        Args:
            source: a folder, a table, a list; see `sources.pictures_of`.
            skip_unreadable: leave out what cannot be read; `skipped` then lists it.
            whole: height by width of whole people, where INPUT.KEEP_RATIO is gallery; None: what
                the sizes of the pictures say. 0: as INPUT.SIZE_TEST.

        Raises:
            OSError, ValueError: there is no picture, or one cannot be read.
        """
        found, self.skipped = readable(pictures_of(source), skip_unreadable)
        kept = DTYPES[self.cfg.TEST.DSR.STORAGE]
        return extracted_gallery(self.extractor, found.pictures, found.metadata, kept, whole)

    def index(
        self,
        source: str | os.PathLike[str],
        into: str | os.PathLike[str],
        *,
        skip_unreadable: bool = False,
    ) -> IndexedGallery:
        """Keep the pictures of a folder, or of a table, in an index; see docs/index_on_disk.md.

        An index that is there is brought up to date: new and changed pictures are extracted,
        pictures that are gone are removed, and the others stay as they are.

        Args:
            source: a folder, or a table (.csv) of pictures below its own folder.
            into: the folder of the index: not there yet, or empty, or an index.
            skip_unreadable: leave out what cannot be read; `skipped` then lists it.

        Returns:
            The index, open for searching.

        Raises:
            OSError: a picture cannot be read, or there is no room.
            TypeError: the source is no path.
            ValueError: there is no picture, or one alone; or the index is damaged, of another
                model, of another folder, or written to by another process.
        """
        model = model_digest(self._state, self.cfg)
        self.skipped = update_index(source, into, model, self.extractor, skip_unreadable)
        return self.open(into)

    def open(self, path: str | os.PathLike[str], *, probes: int | None = None) -> IndexedGallery:
        """Open an index that this model has made, for searching.

        Args:
            path: of its folder.
            probes: how many inverted lists a query looks into, which makes it faster in an index of
                hundreds of thousands of pictures, and has it miss some; None: it looks at all. See
                docs/scale.md.

        Raises:
            ValueError: there is none, it is damaged, or another model has made it; or `probes` is
                below 1.
        """
        model, folder = model_digest(self._state, self.cfg), os.path.expanduser(os.fspath(path))
        device = self.extractor.device
        return IndexedGallery(Index.open(folder, model, device=device, probes=probes))

    @overload
    def search(  # type: ignore[overload-overlap]  # text is iterable, but a path
        self, query: Picture, gallery: AnyGallery, k: int = 10, *, skip_unreadable: bool = False
    ) -> Answer: ...

    @overload
    def search(
        self,
        query: Iterable[Picture],
        gallery: AnyGallery,
        k: int = 10,
        *,
        skip_unreadable: bool = False,
    ) -> Answers: ...

    def search(
        self,
        query: Picture | Iterable[Picture],
        gallery: AnyGallery,
        k: int = 10,
        *,
        skip_unreadable: bool = False,
    ) -> Answer | Answers:
        """The k nearest pictures of a gallery.

        A query that lies in the gallery is found like any other picture; its match says so by
        `same_picture`.

        Args:
            query: a picture, or several.
            gallery: that is searched: what `gallery`, `index` or `open` gave.
            k: how long a list is; shorter where the gallery is.
            skip_unreadable: leave out queries that cannot be read; `skipped` then lists them.

        Returns:
            One answer for a picture; for several a list of answers, which can be saved as one page.

        Raises:
            OSError: a query cannot be read.
            TypeError: a query is no picture, the gallery is none, or k is no whole number.
            ValueError: there is no query, the gallery is empty, or k is below 1.
        """
        require_searchable(gallery, k)
        asked = listed(query)
        known = Pictures(asked, [{} for _ in asked])
        (queries, _), self.skipped = readable(known, skip_unreadable, "queries")
        settings = self.cfg.TEST.DSR
        stamped = Stamped(queries)
        extractor = self.extractor.of_whole(gallery.whole)
        embedded = extractor.every(stamped.pictures)
        # What an index holds at a place may change while answers are looked at.
        held = gallery.now if isinstance(gallery, IndexedGallery) else gallery
        answers = answers_of(
            stamped.pictures,
            ranked(embedded.images(), gallery, settings, k),
            held,
            Reasons(extractor, self.cfg, stamped, embedded, held),
            settings.DISTANCE,
            k,
            self.calibration,
            answer_record(self.cfg, self.extractor.device, self._dtype, gallery, self.calibration),
        )
        return answers[0] if is_picture(query) else answers

    def compare(self, query: Picture, gallery: Picture, whole: float = 0.0) -> Pair:
        """How far apart two pictures are, and what the distance is the sum of.

        The numbers are those of a `search` for the first in a gallery that holds the second, if
        they are scaled as there. The order of both counts: the distance is what is left over of the
        first once it is put together from the second.

        Args:
            query, gallery: two pictures.
            whole: of the gallery of that search, its `whole`. Two pictures alone do not say how
                high whole people are: 0 takes them to be as INPUT.SIZE_TEST is.

        Raises:
            OSError, ValueError: one of them cannot be read.
            TypeError: one of them is no picture.
        """
        for one in (query, gallery):
            if not is_picture(one):
                raise no_picture(one)
        answer = self.search(query, self.gallery([gallery], whole=whole), k=1)
        return pair_of(answer, float(self.cfg.TEST.DSR.LAMBDA))
