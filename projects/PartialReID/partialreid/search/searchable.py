"""What can be searched: pictures in memory, or in an index on disk."""

from __future__ import annotations

import numbers
from typing import TypeAlias

from .gallery import Gallery
from .indexed import IndexedGallery

AnyGallery: TypeAlias = "Gallery | IndexedGallery"
"""Pictures that can be searched: in memory, or in an index on disk."""


def require_searchable(gallery: AnyGallery, k: int) -> None:
    """Raise an error unless a list of k pictures of a gallery can be made.

    Raises:
        TypeError: it is no gallery, or k is no whole number.
        ValueError: it is empty, or k is below 1.
    """
    if not isinstance(gallery, (Gallery, IndexedGallery)):
        raise TypeError(
            f"the gallery is a {type(gallery).__name__}: give what model.gallery(), "
            "model.index() or model.open() has made of it."
        )
    if not isinstance(k, numbers.Integral):
        raise TypeError(f"k is {k!r}: a list holds a whole number of pictures.")
    if k < 1:
        raise ValueError(f"k is {k}: a list holds at least one picture.")
    if not len(gallery):
        raise ValueError("the gallery is empty: add pictures, or select by other conditions.")
