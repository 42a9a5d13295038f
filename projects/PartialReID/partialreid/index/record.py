"""An image as it is put into an index, and what must hold for it.

Shapes: C channels, N columns of an image, D global features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from .database import Database
from .errors import damaged
from .selection import Value
from .stamps import Stamp

FEATURES = {"float32": torch.float32, "float16": torch.float16}
# What all images of an index have in common.
KINDS = ("channels", "dimensions", "features")


class Record(NamedTuple):
    """An image as it is put into an index.

    Attributes:
        name: by which it is known: its path below the folder of the gallery, with "/".
        stamp: of the file that was read.
        feature: (D,) global feature of unit length.
        columns: (C, N) of unit length. Those in float16 are stored bit by bit, others rounded.
        weights: (N,) how much each column counts in a query.
        metadata: what is known of it; None leaves what was known.
    """

    name: str
    stamp: Stamp
    feature: Tensor
    columns: Tensor
    weights: Tensor
    metadata: Mapping[str, Value] | None = None


def kind_of(record: Record, columns: Tensor) -> tuple[int, int, str]:
    """What `KINDS` names, of an image that can be stored.

    Args:
        record: the image.
        columns: (C, N) of it, in float16.

    Raises:
        ValueError: the parts do not fit each other, or hold an infinity or NaN; a name or a value
            that cannot be stored.
    """
    require_name(record.name)
    require_values(record.name, record.metadata or {})
    shapes = [tuple(part.shape) for part in (record.feature, record.columns, record.weights)]
    if [len(shape) for shape in shapes] != [1, 2, 1] or shapes[1][1:] != shapes[2]:
        raise ValueError(
            f'"{record.name}" must have a feature (D,), columns (C, N) and weights (N,), not '
            f"{', '.join(map(str, shapes))}."
        )
    if not all(part.isfinite().all() for part in (record.feature, columns, record.weights)):
        raise ValueError(
            f'what was extracted from "{record.name}" holds an infinity or NaN, or columns too '
            "large for float16: the network's weights are broken, or its columns not normalised."
        )
    kind = str(record.feature.dtype).removeprefix("torch.")
    if kind not in FEATURES:
        raise ValueError(f"a feature is stored in {' or '.join(FEATURES)}, not in {kind}.")
    return len(columns), len(record.feature), kind


def feature_type(database: Database) -> torch.dtype:
    """The numbers of the features of an index; those of an empty one may be any.

    Raises:
        ValueError: the index is damaged.
    """
    name = database.about("features") or "float32"
    if name not in FEATURES:
        raise damaged(database.path, f'"{name}" as its kind of features')
    return FEATURES[name]


def require_name(name: str) -> None:
    """Raise ValueError where a name is not text: Unix allows any bytes in the name of a file."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"the name of the file {name!r} is not UTF-8: rename it.") from error


def require_values(name: str, values: Mapping[str, Value]) -> None:
    """Raise ValueError unless all that is known of an image is text or a finite number."""
    for key, value in values.items():
        fits = not isinstance(value, int) or -(2**63) <= value < 2**63
        # JSON knows no infinity and no NaN, and answers are written as JSON.
        fits &= not isinstance(value, float) or math.isfinite(value)
        if not isinstance(value, (str, int, float)) or not fits:
            raise ValueError(
                f'"{key}" of "{name}" is {value!r}: it must be text, or a finite number of 64 bits.'
            )
