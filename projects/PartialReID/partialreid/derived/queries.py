"""Queries of a data set cut, hidden in part or shrunk, and stored in a folder of their own.

How a query is changed depends on its name below the folder that holds all queries, on the seed and
on the parameters alone. Where a piece of another image hides it, it also depends on the list of
images that pieces may come from, and on whom they show. The folder is made once; its manifest says
what was done to each query.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..config import CHOICES
from ..images.lists import name_some
from ..images.made_folder import make_folder
from ..runtime.progress import progress

QUERY, MASKS = "query", "masks"


class Derivation(NamedTuple):
    """How queries are changed: the keys DATASETS.DERIVED_SEED and DATASETS.DERIVED.

    Attributes:
        seed: DERIVED_SEED.
        kind: DERIVED.KIND, what queries are hidden by: "shapes", "pieces", "mixed".
        share: DERIVED.SHARE, percent of the image that is hidden, from and to.
        sides: DERIVED.SIDES, where queries are cut: "window" (rows above and below) or "any" (one
            side of the four).
        percent: DERIVED.PERCENT, percent of height or width that a cut keeps, from and to.
        size: DERIVED.SIZE, percent of both sides that a small query has, from and to.
    """

    seed: int = 0
    kind: str = "mixed"
    share: tuple[int, int] = (20, 50)
    sides: str = "window"
    percent: tuple[int, int] = (60, 90)
    size: tuple[int, int] = (30, 60)

    def check(self) -> None:
        """Raise ValueError, naming the key, for a value that cannot be."""
        for key, value in (
            ("DATASETS.DERIVED.KIND", self.kind),
            ("DATASETS.DERIVED.SIDES", self.sides),
        ):
            if value not in CHOICES[key]:
                raise ValueError(f"{key} is {value!r}; it can be {', '.join(CHOICES[key])}.")
        pairs = (("SHARE", self.share), ("PERCENT", self.percent), ("SIZE", self.size))
        for key, pair in pairs:
            whole = all(isinstance(n, int) for n in pair)
            if not (whole and len(pair) == 2 and 0 < pair[0] <= pair[1] < 100):
                raise ValueError(
                    f"DATASETS.DERIVED.{key} is {pair}; it is two whole numbers of percent, such as"
                    " (20, 50), above 0, below 100, the lower first."
                )


class Changed(NamedTuple):
    """A changed query: its image, what is visible of it (None: all), and what was done."""

    image: Image.Image
    visible: np.ndarray | None
    record: object


def relative_names(paths: Sequence[str]) -> dict[str, str]:
    """Each image's path relative to the folder that holds them all.

    Raises:
        ValueError: two differ in their suffix alone, so that both would become the same PNG.
    """
    full = {path: os.path.abspath(path) for path in paths}
    common = os.path.commonpath([os.path.dirname(path) for path in full.values()])
    names = {path: Path(os.path.relpath(full[path], common)).as_posix() for path in paths}
    stems: dict[str, str] = {}
    for path, name in names.items():
        if full[stems.setdefault(png_name(name), path)] != full[path]:
            raise ValueError(
                f'"{stems[png_name(name)]}" and "{path}" would both become {png_name(name)}: '
                "rename one of them."
            )
    return names


def png_name(name: str) -> str:
    """The name of the made image."""
    return f"{os.path.splitext(name)[0]}.png"


def source_of(paths: Sequence[str], names: Mapping[str, str], folder: str) -> dict[str, object]:
    """How a manifest describes the images that something was made from.

    It holds a hash of their names and sizes, and nothing of where they lie on this machine.

    Raises:
        FileNotFoundError: some of them are not there.
    """
    absent = [path for path in paths if not os.path.isfile(path)]
    if absent:
        raise FileNotFoundError(
            f"{len(absent)} of {len(paths)} images are absent: {name_some(absent)}. Fetch the data "
            "set again, or correct its lists."
        )
    lines = (f"{names[path]} {os.path.getsize(path)}\n" for path in paths)
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return {"folder": folder, "images": len(paths), "names_and_sizes_sha256": digest}


def grouping_of(names: Sequence[str], identities: Sequence[object]) -> str:
    """A hash of which images show the same person, whatever the person is called.

    Args:
        names: of the images.
        identities: whom each shows.
    """
    first: dict[object, str] = {}
    lines = (
        f"{name} {first.setdefault(identity, name)}\n"
        for name, identity in zip(names, identities, strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def make_queries(
    root: str,
    folder_name: str,
    recipe: Mapping[str, object],
    names: Mapping[str, str],
    change: Callable[[str], Changed],
    record_key: str,
    masks: bool,
    later: Sequence[str] = (),
) -> dict[str, str]:
    """Change all queries once.

    Args:
        root: the data root; where it cannot be written, the cache folder takes its place.
        folder_name: of the folder that is made; it tells parameters and seeds apart.
        recipe: see `make_folder`.
        names: relative name of each query, by path, in the order in which they are changed.
        change: makes one query from its path.
        record_key: under which the manifest lists what was done to each image.
        masks: whether the folder has a 1-bit image beside each query, white where it is visible.
        later: see `make_folder`.

    Returns:
        Path of the made image, PNG and thus lossless, by path of the query.

    Raises:
        OSError: an image cannot be read.
        RuntimeError: the folder is there but was made otherwise, or files of it are gone.
    """
    made = {path: png_name(name) for path, name in names.items()}

    def build(folder: Path) -> dict[str, object]:
        for part in (QUERY, MASKS) if masks else (QUERY,):
            for parent in sorted({os.path.dirname(name) for name in made.values()}):
                (folder / part / parent).mkdir(parents=True, exist_ok=True)
        done = {}
        for path in progress(list(made), len(made), f"making {folder_name}", "images"):
            changed = change(path)
            changed.image.save(folder / QUERY / made[path])
            if changed.visible is not None:
                Image.fromarray(changed.visible).save(folder / MASKS / made[path])
            done[made[path]] = changed.record
        return {"counts": {QUERY: len(made)}, record_key: done}

    folder = make_folder(root, folder_name, recipe, build, later)
    present = {
        path.relative_to(folder / QUERY).as_posix() for path in (folder / QUERY).rglob("*.png")
    }
    gone = sorted(set(made.values()) - present)
    if gone:
        raise RuntimeError(
            f'{len(gone)} images are gone from "{folder / QUERY}": {name_some(gone)}. '
            f'Remove the folder "{folder}": it is made again.'
        )
    return {path: str(folder / QUERY / name) for path, name in made.items()}
