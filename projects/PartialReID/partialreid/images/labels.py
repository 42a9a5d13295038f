"""The lists of a data set, with identities and cameras that the rest of the code can use.

A data set may name its people by numbers, numpy's numbers, texts, or numbers of 25 digits. Training
sorts the names, and an evaluation puts them into tensors. All lists come through this file, which
makes of them

- for tests whole numbers of 64 bits, the same in the query and in the gallery. A number stays what
  it is, so that 0 and -1 remain the distractors that they are in Market-1501; anything else gets a
  number that no image has;
- for training texts, as FastReID's own sets have them, or such numbers. Where several sets are
  trained on, their names keep person 5 of one apart from person 5 of another.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from .lists import Item, sort_items

INT64 = range(-(2**63), 2**63)


def plain_label(label: Any) -> Hashable:
    """A label as Python's own int or str where it is one of numpy, torch or pandas.

    Raises:
        ValueError: it is None or not a number (NaN).
        TypeError: it is a list or the like, which has no hash.
    """
    if hasattr(label, "item") and getattr(label, "ndim", 0) == 0:
        label = label.item()
    if isinstance(label, float) and label.is_integer():
        label = int(label)  # pandas turns whole numbers into floats where one of them is missing
    if label is None or (isinstance(label, float) and math.isnan(label)):
        raise ValueError(f"{label} names nobody")
    hash(label)
    return int(label) if isinstance(label, int) else label


def whole_numbers(labels: Iterable[Hashable]) -> dict[Hashable, int]:
    """A whole number of 64 bits for each label: itself, where it is one.

    Others get 1, 2, ..., without those that are taken, in the order in which they first come.
    """
    distinct = dict.fromkeys(labels)
    own = {label: label for label in distinct if isinstance(label, int) and label in INT64}
    free = (number for number in itertools.count(1) if number not in own)
    return own | {label: next(free) for label in distinct if label not in own}


def evaluation_lists(name: str, data: Any) -> tuple[list[Item], list[Item]]:
    """Query and gallery of a data set, each sorted by path, their labels whole numbers.

    Args:
        name: the data set, for the message.
        data: what has `query` and `gallery`, as FastReID's sets.

    Raises:
        ValueError: a list is no list, an item is not (path, identity, camera) or lacks one of them,
            or an image has two identities.
    """
    query = _plain_items(f"{name}, query", data.query)
    items = [*query, *_plain_items(f"{name}, gallery", data.gallery)]
    _one_identity_each(name, items)
    paths, identities, cameras = _columns(items)
    both: list[Item] = list(zip(paths, _numbered(identities), _numbered(cameras), strict=True))
    return both[: len(query)], both[len(query) :]


def training_list(name: str, data: Any) -> list[Item]:
    """The training images of a data set, sorted by path, their labels all texts or all numbers.

    Raises:
        ValueError: as `evaluation_lists`.
    """
    items = _plain_items(f"{name}, train", data.train)
    _one_identity_each(name, items)
    paths, *labels = _columns(items)
    identities, cameras = (column if _all_text(column) else _numbered(column) for column in labels)
    return list(zip(paths, identities, cameras, strict=True))


def _plain_items(where: str, items: Any) -> list[Item]:
    if not hasattr(items, "__len__"):  # nothing, or a generator, which can be read once only
        raise ValueError(
            f"{where}: {type(items).__name__} is no list; make it one of (path, identity, camera)."
        )
    made: list[Any] = []
    for item in items:
        try:
            path, identity, camera = item
            text = str(os.fsdecode(path))
            if not text:
                raise ValueError("the path is empty")
            made.append((text, plain_label(identity), plain_label(camera)))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{where}: {tuple(item) if isinstance(item, list) else item!r} is no (path, "
                f"identity, camera): {error}."
            ) from error
    return sort_items(made)


def _one_identity_each(name: str, items: Iterable[Item]) -> None:
    """Refuse an image that is listed as two people: one of the two labels is wrong."""
    listed: dict[str, Hashable] = {}
    for path, identity, _ in items:
        other = listed.setdefault(os.path.realpath(path), identity)
        if other != identity:
            raise ValueError(
                f'{name}: "{path}" is listed as identity {other!r} and as identity {identity!r}: '
                "take it off one of the lists."
            )


def _columns(items: Sequence[Item]) -> tuple[list[str], list[Any], list[Any]]:
    return [item[0] for item in items], [item[1] for item in items], [item[2] for item in items]


def _all_text(labels: Iterable[Hashable]) -> bool:
    return all(isinstance(label, str) for label in labels)


def _numbered(labels: Sequence[Hashable]) -> list[int]:
    numbers = whole_numbers(labels)
    return [numbers[label] for label in labels]


def joined_training_lists(lists: Mapping[str, Sequence[Item]]) -> list[Item]:
    """The training images of several data sets, with no label in two of them.

    FastReID's own sets write their name into their labels, market1501_5, and are joined as they
    are. Where a set has numbers, or two have the same texts, each label gets the name of its set,
    or, of a folder, its place in the list.

    Args:
        lists: of each data set, by its name.

    Raises:
        ValueError: two sets have the same images.
    """
    owner: dict[str, str] = {}
    for name, items in lists.items():
        for path, *_ in items:
            other = owner.setdefault(os.path.realpath(path), name)
            if other != name:
                raise ValueError(
                    f"DATASETS.NAMES holds {other} and {name}, which have training images in "
                    f'common, such as "{path}": name one of them.'
                )
    paths = [path for items in lists.values() for path, *_ in items]
    columns = (_joined({name: _columns(items)[i] for name, items in lists.items()}) for i in (1, 2))
    return list(zip(paths, *columns, strict=True))


def _joined(columns: Mapping[str, Sequence[Any]]) -> list[Any]:
    """The labels of all sets in one list, each with its set's name where two sets share one."""
    labels = [label for column in columns.values() for label in column]
    kept_apart = len(set(labels)) == sum(len(set(column)) for column in columns.values())
    if len(columns) == 1 or (kept_apart and _all_text(labels)):
        return labels
    # Labels are sorted, and checkpoints count their classes by them: where a folder lies on this
    # machine must not be in them. And no name and label may look like two others.
    shown = {
        name: f"set {place:03d}" if ":" in name or "/" in name else name
        for place, name in enumerate(columns)
    }
    return [f"{shown[name]}:{label}" for name, column in columns.items() for label in column]
