"""Ranked lists of made-up columns: who is on them, by which distance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from partialreid.index.gallery import Index
from partialreid.search.gallery import Gallery
from partialreid.search.indexed import IndexedGallery
from partialreid.search.ranking import ranked
from partialreid.search.stamped import Stamped
from tests.index.made_up import images, made_index, queries, records

GALLERY, TOPK = records(range(23)), 4


@pytest.mark.parametrize("shortlist", ["coarse", "auto", "global", "none"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_by_the_global_distance_the_nearest_of_all_are_found(
    on_disk: bool, shortlist: str, tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    keys = ["TEST.DSR.DISTANCE", "global", "TEST.DSR.SHORTLIST", shortlist, "TEST.DSR.TOPK", TOPK]
    settings = make_config(*keys).TEST.DSR
    query, gallery = queries(), images(GALLERY)
    wanted = 1 - query.features @ gallery.features.T
    with Index.open(made_index(tmp_path, GALLERY)) as index:
        memory = Gallery(gallery, [""] * 23, [{}] * 23, Stamped([]))
        found = ranked(query, IndexedGallery(index) if on_disk else memory, settings, TOPK)
    places = wanted.argsort(dim=1)[:, :TOPK]
    assert torch.equal(found.places[:, :TOPK], places)
    near = wanted.gather(1, places)
    torch.testing.assert_close(found.distances["global"][:, :TOPK], near, atol=1e-6, rtol=0)
    # All that are shown have been reconstructed.
    assert (found.distances["reconstruction"][:, :TOPK] < settings.FILL).all()
