"""Market-1501 with partial queries, made from the full images.

The recipe of Market1501-Partial in AlignedReID++ (Luo et al., AlignedReID++: Dynamically matching
local information for person re-identification, Pattern Recognition 2019): each query is cut to a
random 60 to 90 % of its height at full width, the gallery stays as it is. Which part of the height
is kept is not stated; our reading is a window at a random position. The recipe resizes the cut
image back to the full height; here it is stored as cut, since the test transform resizes all
images, and a test with images of any size must see what was cut.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Any

from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.market1501 import Market1501

from .image_list import Item, check_protocol, list_images, name_some
from .image_reading import read_image
from .made_folder import make_folder
from .progress import progress

logger = logging.getLogger(__name__)

MARKET_DIR = "Market-1501-v15.09.15"
MIN_PERCENT, MAX_PERCENT = 60, 90
QUERY = "query"
JUNK = -1  # identity of false detections, which are neither match nor distractor

_NAME = re.compile(r"(-1|[0-9]+)_c([1-9])")


def cut_window(file_name: str, height: int, seed: int) -> tuple[int, int]:
    """The rows of an image that are kept.

    Height and position are drawn uniformly from what is possible, with the bits of a hash of seed
    and file name as the only randomness: the window depends on no other file, on no order and on
    no generator's version.

    Args:
        file_name: name of the file with its suffix, without folders.
        height: rows of the full image.
        seed: DATASETS.DERIVED_SEED.

    Returns:
        First row kept and the row after the last one: 60 to 90 % of the height.

    Raises:
        ValueError: no whole number of rows is between 60 and 90 % of the height.
    """
    low, high = -(-height * MIN_PERCENT // 100), height * MAX_PERCENT // 100
    if not 0 < low <= high:
        raise ValueError(f'"{file_name}" is {height} pixels high: too small to be cut')
    digest = hashlib.sha256(f"{seed}:{file_name}".encode()).digest()
    first, second = (int.from_bytes(digest[i : i + 8], "big") for i in (0, 8))
    # the product of a 64-bit number and n, shifted, is uniform over 0 .. n - 1
    rows = low + (first * (high - low + 1) >> 64)
    top = second * (height - rows + 1) >> 64
    return top, top + rows


def _source_digest(paths: list[str]) -> str:
    lines = (f"{os.path.basename(path)} {os.path.getsize(path)}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def make_partial_queries(root: str, paths: list[str], seed: int) -> Path:
    """Cut the Market-1501 queries once and return the folder of the cut ones.

    Args:
        root: the data root; where it cannot be written, the cache folder takes its place.
        paths: the full queries.
        seed: DATASETS.DERIVED_SEED.

    Returns:
        Folder with one PNG per query, lossless and of the same stem.

    Raises:
        OSError: a query cannot be read.
        RuntimeError: the folder is there but was made otherwise, or files of it are gone.
    """
    names = {path: f"{Path(path).stem}.png" for path in paths}
    recipe = {
        "kind": "Market1501Partial",
        "seed": seed,
        "height_percent": [MIN_PERCENT, MAX_PERCENT],
        "source": {
            "folder": f"{MARKET_DIR}/{QUERY}",
            "images": len(paths),
            "names_and_sizes_sha256": _source_digest(paths),
        },
    }

    def build(folder: Path) -> dict[str, Any]:
        (folder / QUERY).mkdir()
        boxes = {}
        for path in progress(paths, len(paths), "cutting of Market-1501 queries", "images"):
            image = read_image(path)
            top, bottom = cut_window(os.path.basename(path), image.height, seed)
            box = (0, top, image.width, bottom)
            image.crop(box).save(folder / QUERY / names[path])
            boxes[names[path]] = box
        return {"counts": {QUERY: len(paths)}, "boxes_left_top_right_bottom": boxes}

    folder = make_folder(root, f"Market-1501-Partial-seed{seed}", recipe, build)
    present = set(os.listdir(folder / QUERY)) if (folder / QUERY).is_dir() else set()
    gone = sorted(set(names.values()) - present)
    if gone:
        raise RuntimeError(
            f'{len(gone)} images are gone from "{folder / QUERY}": {name_some(gone)}. '
            f'Remove the folder "{folder}": it is made again.'
        )
    return folder / QUERY


@DATASET_REGISTRY.register()
class Market1501Partial(Market1501):
    """Market-1501 with cut queries; train images and gallery are those of `Market1501`, sorted.

    Args:
        root: the data root, DATASETS.ROOT or FASTREID_DATASETS.
        derived_seed: DATASETS.DERIVED_SEED, which decides the cuts.
        kwargs: for FastReID's `Market1501`; unknown ones are ignored.

    Raises:
        FileNotFoundError: Market-1501 is not under the root.
        ValueError: query or gallery is empty, a query has no valid match in the gallery, or a file
            name has no identity.
        OSError, RuntimeError: as `make_partial_queries`.
    """

    def __init__(self, root: str = "datasets", derived_seed: int = 0, **kwargs: Any) -> None:
        root = os.fspath(root)
        places = [os.path.join(root, MARKET_DIR), root]
        parts = (QUERY, "bounding_box_train", "bounding_box_test")
        if not any(all(os.path.isdir(os.path.join(p, part)) for part in parts) for p in places):
            raise FileNotFoundError(
                f"{type(self).__name__} is made from Market-1501, which was not found: folders "
                f'{", ".join(parts)} are needed in "{os.path.abspath(places[0])}". The data root '
                "comes from DATASETS.ROOT or the variable FASTREID_DATASETS."
            )
        self.derived_seed = derived_seed
        super().__init__(root=root, **kwargs)
        hint = f'It is made from Market-1501 in "{self.data_dir}".'
        check_protocol(type(self).__name__, self.query, self.gallery, hint)

    def process_dir(self, dir_path: str, is_train: bool = True) -> list[Item]:
        """As `Market1501.process_dir`, but sorted, and with the cut images in place of queries.

        Names alone are read: `Market1501` searches the whole path, and below a folder such as
        `12_c3` every image would be identity 12.
        """
        prefix = f"{self.dataset_name}_"
        items: list[Item] = []
        for path in list_images(dir_path):
            match = _NAME.match(os.path.basename(path))
            if match is None:
                raise ValueError(
                    f'no identity and camera in the file name of "{path}": expected names such as '
                    "0001_c1s1_000151_01.jpg"
                )
            pid, camid = int(match[1]), int(match[2]) - 1
            if pid != JUNK:
                items.append(
                    (path, f"{prefix}{pid}", f"{prefix}{camid}") if is_train else (path, pid, camid)
                )
        if dir_path != self.query_dir or not items:
            return items
        folder = make_partial_queries(self.root, [path for path, *_ in items], self.derived_seed)
        logger.info('%s: queries are read from "%s".', type(self).__name__, folder)
        return [(str(folder / f"{Path(path).stem}.png"), pid, camid) for path, pid, camid in items]
