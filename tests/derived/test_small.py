"""<Name>Small: queries that have been shrunk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from partialreid.data.catalogue import load_dataset
from partialreid.derived.small import small_share

NAMES = [f"{i}.jpg" for i in range(400)]


def test_a_share_is_drawn_from_the_range() -> None:
    shares = np.array([small_share(name, 0, (30, 60)) for name in NAMES])
    assert 0.3 <= shares.min() < 0.31 and 0.59 < shares.max() <= 0.6
    # Uniform: the mean of 400 lies within five standard errors, 0.3 / sqrt(12 * 400) each.
    assert abs(shares.mean() - 0.45) < 5 * 0.3 / (12 * 400) ** 0.5


def test_a_share_depends_on_name_and_seed_alone() -> None:
    first = [small_share(name, 0, (30, 60)) for name in NAMES]
    assert first == [small_share(name, 0, (30, 60)) for name in NAMES[::-1]][::-1]
    other = [small_share(name, 1, (30, 60)) for name in NAMES]
    assert sum(a == b for a, b in zip(first, other, strict=True)) < 40


def test_queries_are_the_images_shrunk(cfg: Any, root: Path) -> None:
    cfg.DATASETS.DERIVED.SIZE = (40, 50)
    whole = {Path(path).stem: path for path, *_ in load_dataset(cfg, "DukeMTMC").query}
    made = load_dataset(cfg, "DukeMTMCSmall").query
    folder = root / "DukeMTMCSmall-40-50-seed0"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["recipe"]["size_percent"] == [40, 50] and str(root) not in json.dumps(manifest)
    for path, *_ in made:
        before = Image.open(whole[Path(path).stem]).convert("RGB")
        after = Image.open(path)
        assert list(after.size) == manifest["sizes_width_height"][Path(path).name]
        assert 0.35 < after.height / before.height < 0.55
        assert abs(after.height / before.height - after.width / before.width) < 0.1
        expected = before.resize(after.size, Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(np.asarray(after), np.asarray(expected))


def test_a_range_that_cannot_be_is_named(cfg: Any) -> None:
    cfg.DATASETS.DERIVED.SIZE = (60, 30)
    with pytest.raises(ValueError, match=r"DATASETS\.DERIVED\.SIZE is \(60, 30\)"):
        load_dataset(cfg, "DukeMTMCSmall")
