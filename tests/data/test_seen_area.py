"""Which part of a picture a network sees: against FastReID's transform of a picture of places."""

from __future__ import annotations

import numpy as np
import pytest
from fastreid.config import get_cfg
from PIL import Image

from partialreid.config import add_partialreid_config
from partialreid.data.keep_ratio import build_test_transform
from partialreid.data.seen_area import seen_area

# Width and height: tall, wide, and of odd sides.
SIZES = [(100, 200), (180, 120), (77, 201)]
KEYS = {
    "all of it": ["INPUT.SIZE_TEST", [96, 48]],
    "crop": ["INPUT.SIZE_TEST", [96, 48], "INPUT.CROP.ENABLED", True, "INPUT.CROP.SIZE", [64, 32]],
    "square": ["INPUT.SIZE_TEST", [90, 70], "INPUT.CROP.ENABLED", True, "INPUT.CROP.SIZE", [33]],
    "shorter side": ["INPUT.SIZE_TEST", [60]],
    "shorter side, crop": [
        *["INPUT.SIZE_TEST", [60], "INPUT.CROP.ENABLED", True, "INPUT.CROP.SIZE", [64, 32]]
    ],
    "not resized": [
        "INPUT.SIZE_TEST",
        [0],
        "INPUT.CROP.ENABLED",
        True,
        "INPUT.CROP.SIZE",
        [50, 40],
    ],
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_area_is_that_of_the_transform(keys: list[object], size: tuple[int, int]) -> None:
    cfg = get_cfg()
    add_partialreid_config(cfg)
    cfg.merge_from_list(keys)
    width, height = size
    left, upper, right, lower = seen_area(cfg.INPUT, size)
    for place, side, (start, end) in ((0, width, (left, right)), (1, height, (upper, lower))):
        # Each pixel says where it is: as grey levels, from 5 to 250.
        along = np.linspace(5, 250, side)
        values = np.broadcast_to(along if place == 0 else along[:, None], (height, width))
        picture = Image.fromarray(np.repeat(values[..., None], 3, axis=2).round().astype(np.uint8))
        pixels = build_test_transform(cfg, None)(picture)[0].numpy()
        line = pixels.max(0) if place == 0 else pixels.max(1)
        centres = float(start) + (np.arange(len(line)) + 0.5) * float(end - start) / len(line)
        wanted = 5 + (centres - 0.5) * 245 / (side - 1)
        # Border is 0; a resized picture is flat at its edges.
        inside = (centres > 2) & (centres < side - 2)
        outside = (centres < 0) | (centres > side)
        assert inside.any()
        assert np.abs(line - wanted)[inside].max() < 2
        assert not line[outside].any()
