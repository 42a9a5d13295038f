"""A user's own data set, named by where it lies: `folder:/path/to/set`, `folder:/path/to/list.csv`.

Nothing has to be registered. A folder holds train/, query/ and gallery/, of which only those that
are asked for have to be there; how their images are named says `named_files`. Or a CSV file lists
them, see `image_table`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from functools import cached_property

from fastreid.data.datasets.bases import ImageDataset

from ..images.image_table import PARTS, SUFFIX, listed_images
from ..images.lists import Item, name_some
from ..images.named_files import Labelled, named_images
from ..images.protocol_check import check_protocol
from ..partial_dataset import GALLERY_CAMERA, QUERY_CAMERA

logger = logging.getLogger(__name__)

PREFIX = "folder:"
# Of a folder's own name in the names of what is made of it: a file name is short.
LONGEST = 40


def folder_path(name: str) -> str:
    """The full path that a name beginning with PREFIX gives; `~` is the user's home."""
    return os.path.abspath(os.path.expanduser(name.removeprefix(PREFIX)))


def is_folder_set(name: str) -> bool:
    """Whether a name is `folder:` and a path where a folder or a CSV file is."""
    if not name.startswith(PREFIX) or name == PREFIX:
        return False
    path = folder_path(name)
    return os.path.isdir(path) or (path.lower().endswith(SUFFIX) and os.path.isfile(path))


def absent_folder(name: str, whole: str = "") -> str:
    """What an error says of a name that begins with PREFIX and leads to no data set.

    Args:
        name: as it stands in the config.
        whole: the name of what it could be made of, if its end is that of a derived set.
    """
    layout = (
        f"A set is a folder with {', '.join(f'{part}/' for part in PARTS)} in it, "
        f"{PREFIX}/path/to/set, or a CSV file that lists images, {PREFIX}/path/to/list{SUFFIX}."
    )
    if name == PREFIX:
        return f"it names no folder. {layout}"
    path = folder_path(name)
    if os.path.exists(path):
        return f'"{path}" is no folder, and its name does not end in {SUFFIX}. {layout}'
    made = f' nor "{folder_path(whole)}", of which such a set could be made' if whole else ""
    return f'there is no "{path}"{made}. {layout}'


def without_folders_above(name: str) -> str:
    """A name as it may be handed on: nothing of it tells where the set lies on this machine."""
    path = name.removeprefix(PREFIX)
    return PREFIX + os.path.basename(path.rstrip("/")) if path != name else name


class FolderSet(ImageDataset):
    """A folder, or the list of a CSV file, as a data set of FastReID.

    Its lists are read when they are asked for: who evaluates needs no train/, and who trains
    neither query/ nor gallery/. Without cameras, all queries are from one and the whole gallery
    from another, as in the partial sets, and all training images from one.

    Args:
        name: PREFIX and a path, see `is_folder_set`.
        combineall: add query and gallery to the training images. An identity is one person in all
            three.

    Attributes:
        made_name: what files and folders are called that are made of this set.

    Raises, when a list is asked for:
        FileNotFoundError: train/, query/ or gallery/ is absent, or images that a CSV file lists.
        ValueError: as `named_images` and `listed_images`; a part has no images; some images have
            a camera and others have none; or as `check_protocol`.
    """

    def __init__(self, name: str, combineall: bool = False) -> None:
        self.name, self.path = name, folder_path(name)
        self.dataset_name = self.made_name = short_name(name)
        # FastReID's constructor asks for one of the lists.
        super().__init__([], [], [])
        self._train = self._all_items if combineall else self._train_items
        self._query = lambda: self._test_items[0]
        self._gallery = lambda: self._test_items[1]

    def _train_items(self) -> list[Item]:
        return self._with_cameras(train=QUERY_CAMERA)[0]

    def _all_items(self) -> list[Item]:
        return [*self._train_items(), *self.query, *self.gallery]

    @cached_property
    def _test_items(self) -> list[list[Item]]:
        query, gallery = self._with_cameras(query=QUERY_CAMERA, gallery=GALLERY_CAMERA)
        hint = "An image shows whom the name of its sub-folder says, or its own up to the first _."
        check_protocol(self.name, query, gallery, "" if self._table else hint)
        return [query, gallery]

    def _with_cameras(self, **constant: int) -> list[list[Item]]:
        """The items of the parts that are named, with these cameras if none is known."""
        lists = {part: self._images(part) for part in constant}
        listed = [image for part in lists.values() for image in part]
        lacking = [path for path, _, camera in listed if camera is None]
        if 0 < len(lacking) < len(listed):
            raise ValueError(
                f"{self.name}: {len(lacking)} of {len(listed)} images have no camera, and the "
                f"others have one: {name_some(lacking)}. Say the camera of all, or of none."
            )
        if lacking and len(constant) > 1:
            said = "of a query's person all images of the gallery count"
            logger.info(f"{self.name}: no camera is known, so that {said}.")
        return [
            [
                (path, identity, constant[part] if camera is None else camera)
                for path, identity, camera in images
            ]
            for part, images in lists.items()
        ]

    @cached_property
    def _table(self) -> dict[str, list[Labelled]]:
        """The lists of a CSV file; empty for a folder."""
        return {} if os.path.isdir(self.path) else listed_images(self.path)

    def _images(self, part: str) -> list[Labelled]:
        if self._table:
            return self._listed(part)
        folder = os.path.join(self.path, part)
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f'{self.name}: there is no folder "{folder}". Images lie in '
                f"{', '.join(f'{name}/' for name in PARTS)}, or are listed in a CSV file that the "
                f"name leads to, {PREFIX}/path/to/list{SUFFIX}."
            )
        images = named_images(folder)
        if not images:
            raise ValueError(
                f'{self.name}: there are no images in "{folder}"; they have the endings that '
                "Pillow knows, such as .jpg or .png."
            )
        return images

    def _listed(self, part: str) -> list[Labelled]:
        images = self._table[part]
        if not images:
            raise ValueError(f'{self.name}: no line of "{self.path}" has the split {part}.')
        absent = [path for path, *_ in images if not os.path.isfile(path)]
        if absent:
            raise FileNotFoundError(
                f'{self.name}: {len(absent)} of {len(images)} {part} images of "{self.path}" '
                f"are absent: {name_some(absent)}. Correct the paths, which are relative to the "
                "folder of the CSV file, or remove the lines."
            )
        return images


def short_name(name: str) -> str:
    """The name of a folder set as a part of file names: its folder's, told apart by a hash.

    The hash is that of the full path: two sets may lie in folders of one name.
    """
    path = folder_path(name)
    own = re.sub(r"[^\w.-]", "_", os.path.basename(path))[:LONGEST]
    return f"{own}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
