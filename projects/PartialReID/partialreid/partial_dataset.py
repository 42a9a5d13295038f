"""Partial-REID, Partial-iLIDS and Occluded-REID as FastReID data sets.

All three are test sets only: partial or occluded queries, whole gallery images. They are found in
the layout of FastReID's repack and in the layout in which they are distributed. Identities are read
from file names alone, never from the folders above them.

None of the sets annotates cameras. By default queries are camera 0 and gallery images camera 1, so
that every gallery image of the query's identity counts, as in other code bases. FastReID's own
code reads the second number of the name, the shot, as the camera of both sides; its rule "same
identity and same camera is dropped" then loses the gallery image of equal number.
"""

from __future__ import annotations

import logging
import os
import re
from typing import Any, ClassVar, NamedTuple

from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.bases import ImageDataset

from .config import CHOICES
from .images.lists import Item, list_images
from .images.protocol_check import check_protocol

logger = logging.getLogger(__name__)

CAMERAS = CHOICES["TEST.DSR.CAMERAS"]
QUERY_CAMERA, GALLERY_CAMERA = 0, 1

# 001.jpg, 001_01.jpg, 001_01_cut.jpg: the identity, then the shot where there is one
_NAME = re.compile(r"([0-9]+)(?:_([0-9]+))?(?:_.*)?")


class Layout(NamedTuple):
    """Query and gallery folder below the data root."""

    query: str
    gallery: str


class Counts(NamedTuple):
    """Published size of a test set."""

    identities: int
    query: int
    gallery: int


def _parse(path: str, camera: int, cameras: str) -> Item:
    stem = os.path.splitext(os.path.basename(path))[0]
    match = _NAME.fullmatch(stem)
    if match is None:
        raise ValueError(
            f'no identity in the file name of "{path}": expected <identity>.jpg or '
            "<identity>_<shot>.jpg with numbers. Rename the file or move it away."
        )
    pid, shot = match.groups()
    if cameras == "filename":
        if shot is None:
            raise ValueError(
                f'"{path}" has no second number to take as camera: set TEST.DSR.CAMERAS to '
                '"constant", or name the files <identity>_<shot>.'
            )
        camera = int(shot)
    return path, int(pid), camera


class PartialTestSet(ImageDataset):
    """What the sets share; a subclass says where its images are and how many were published.

    Args:
        root: the data root, DATASETS.ROOT or FASTREID_DATASETS.
        cameras: TEST.DSR.CAMERAS: "constant" (query 0, gallery 1) or "filename" (the second number
            of the name on both sides).
        kwargs: for FastReID's base class; unknown ones are ignored.

    Raises:
        FileNotFoundError: neither layout is under the root.
        ValueError: `cameras` is unknown, a file name has no identity, query or gallery is empty,
            or a query has no valid match in the gallery.
    """

    layouts: ClassVar[tuple[Layout, ...]]  # FastReID's repack first, then as distributed
    published: ClassVar[Counts]

    @staticmethod
    def arguments_from(cfg: Any) -> dict[str, Any]:
        """What `catalogue.load_dataset` passes to the constructor beside what FastReID does."""
        return {"cameras": cfg.TEST.DSR.CAMERAS}

    def __init__(self, root: str = "datasets", cameras: str = CAMERAS[0], **kwargs: Any) -> None:
        name = type(self).__name__
        if cameras not in CAMERAS:
            raise ValueError(f"TEST.DSR.CAMERAS must be one of {CAMERAS}, not {cameras!r}")
        self.root = os.fspath(root)
        self.query_dir, self.gallery_dir = self._find()
        query = [_parse(p, QUERY_CAMERA, cameras) for p in list_images(self.query_dir)]
        gallery = [_parse(p, GALLERY_CAMERA, cameras) for p in list_images(self.gallery_dir)]

        hint = (
            f'Queries are read from "{self.query_dir}", the gallery from "{self.gallery_dir}"; '
            "images have the endings that Pillow knows, such as .jpg or .png."
        )
        if cameras == "filename":
            hint += ' With TEST.DSR.CAMERAS "constant" the number of the shot drops no match.'
        check_protocol(name, query, gallery, hint)

        counts = Counts(len({pid for _, pid, _ in query + gallery}), len(query), len(gallery))
        if counts != self.published:
            logger.warning(
                "%s: found %d identities, %d query and %d gallery images; published are %d, %d "
                "and %d: results are not comparable.",
                *(name, *counts, *self.published),
            )
        super().__init__([], query, gallery, **kwargs)

    def _find(self) -> Layout:
        tried = [Layout(*(os.path.join(self.root, part) for part in lay)) for lay in self.layouts]
        found = [layout for layout in tried if all(os.path.isdir(part) for part in layout)]
        if not found:
            lines = []
            for title, layout in zip(("FastReID's layout", "as distributed"), tried):
                parts = (
                    f'"{os.path.abspath(part)}"' + ("" if os.path.isdir(part) else " (absent)")
                    for part in layout
                )
                lines.append(f"  {title}: {' and '.join(parts)}")
            raise FileNotFoundError(
                f"{type(self).__name__} was not found. One of these is needed:\n"
                + "\n".join(lines)
                + "\nThe data root comes from DATASETS.ROOT or the variable FASTREID_DATASETS; "
                "datasets/README.md says where the sets are to be had."
            )
        if len(found) > 1:
            logger.info(
                '%s: both layouts are there; "%s" is used.', type(self).__name__, found[0].query
            )
        return found[0]


@DATASET_REGISTRY.register()
class PartialREID(PartialTestSet):
    """Partial-REID (Zheng et al., Partial Person Re-identification, ICCV 2015).

    Queries are the images cropped to the visible part, as in DSR, FPR and FastReID.
    """

    dataset_name = "partialreid"
    layouts = (
        Layout("Partial_REID/partial_body_images", "Partial_REID/whole_body_images"),
        Layout(
            "Partial-REID_Dataset/partial_body_images", "Partial-REID_Dataset/whole_body_images"
        ),
    )
    published = Counts(60, 300, 300)


@DATASET_REGISTRY.register()
class PartialREIDUncropped(PartialTestSet):
    """Partial-REID with the uncropped, occluded images as queries, as in PVPM and HPNet.

    Another protocol than `PartialREID`: numbers of the two are not comparable. The set was once
    called PartialREIDOccluded, which by the rule of `<Name>Occluded` would be queries that this
    project hides; that name is refused (`catalogue.RENAMED`).
    """

    dataset_name = "partialreid_occluded"
    layouts = (
        Layout("Partial_REID/occluded_body_images", "Partial_REID/whole_body_images"),
        Layout(
            "Partial-REID_Dataset/occluded_body_images", "Partial-REID_Dataset/whole_body_images"
        ),
    )
    published = Counts(60, 300, 300)


@DATASET_REGISTRY.register()
class PartialiLIDS(PartialTestSet):
    """Partial-iLIDS (drawn from i-LIDS for partial re-identification; used by DSR, CVPR 2018).

    One gallery image per query, so mAP is never below Rank-1. Two builds of the set go around.
    """

    dataset_name = "partialilids"
    layouts = (
        Layout("PartialiLIDS/query", "PartialiLIDS/gallery"),
        Layout("Partial_iLIDS/Probe", "Partial_iLIDS/Gallery"),
    )
    published = Counts(119, 119, 119)


@DATASET_REGISTRY.register()
class OccludedREID(PartialTestSet):
    """Occluded-REID (Zhuo et al., Occluded Person Re-identification, ICME 2018)."""

    dataset_name = "occludedreid"
    layouts = (
        Layout("OccludedREID/query", "OccludedREID/gallery"),
        Layout("Occluded_REID/occluded_body_images", "Occluded_REID/whole_body_images"),
    )
    published = Counts(200, 1000, 1000)
