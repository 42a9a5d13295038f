"""The matching on features of real pedestrians, against float64."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from partialreid.coarse_shortlist import build_coarse
from partialreid.command import build_parser, setup_config
from partialreid.inference import load_model
from partialreid.loaders import ImageItems, build_test_transform
from partialreid.reconstruction import reconstruction_distance
from partialreid.sharding import Images
from tests.reconstruction_oracle import oracle

CONFIG = "projects/PartialReID/configs/market_mobilenetv2.yml"
SPLIT = "Market-1501-v15.09.15"
QUERIES, GALLERIES = 12, 120


@pytest.fixture(scope="module")
def real(shared: Path, market: Path) -> tuple[Images, Images]:
    """Twelve queries, and 120 gallery images of which some show the same persons."""
    weights = shared / "weights" / "market_mobilenetv2_original.pth"
    options = ["MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", str(weights)]
    cfg = setup_config(build_parser().parse_args(["--config-file", CONFIG, *options]))
    model = load_model(cfg, str(weights)).eval()
    names = sorted(n for n in os.listdir(market / SPLIT / "query") if n.endswith(".jpg"))
    query = names[::280][:QUERIES]
    wanted = {name[:4] for name in query}
    every = sorted(n for n in os.listdir(market / SPLIT / "bounding_box_test") if n[0] != "-")
    every = [n for n in every if n.endswith(".jpg")]
    same = [n for n in every if n[:4] in wanted][::4]
    gallery = (same + every[:: len(every) // GALLERIES])[:GALLERIES]
    sides = []
    for folder, some in (("query", query), ("bounding_box_test", gallery)):
        items = [(str(market / SPLIT / folder / name), 0, 0) for name in some]
        data = ImageItems(items, build_test_transform(cfg, None), relabel=False)
        images = torch.stack([data[i]["images"] for i in range(len(items))])
        with torch.no_grad():
            features, columns, scores = model(images)
        sides.append(Images(F.normalize(features), F.normalize(columns, dim=1), scores))
    return sides[0], sides[1]


def test_agrees_with_float64(real: tuple[Images, Images]) -> None:
    query, gallery = real
    got = reconstruction_distance(query.columns, gallery.columns[:20], query.weights).double()
    wanted = oracle(query.columns, gallery.columns[:20], query.weights)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_copies_agree_with_float64(real: tuple[Images, Images]) -> None:
    query, gallery = real
    copies = gallery.columns[:6].clone()
    copies[1] = query.columns[3]
    copies[4, :, :35] = query.columns[7, :, 35:]
    got = reconstruction_distance(query.columns, copies, query.weights).double()
    wanted = oracle(query.columns, copies, query.weights)
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=0)
    assert wanted[3, 1] < 0.01


@pytest.mark.parametrize(
    ("dtype", "first", "ten"), [(torch.float16, 1.0, 0.99), (torch.bfloat16, 1.0, 0.95)]
)
def test_half_storage_keeps_the_ranking(
    real: tuple[Images, Images], dtype: torch.dtype, first: float, ten: float
) -> None:
    """Share of equal nearest images, and overlap of the ten nearest."""
    query, gallery = real
    exact = reconstruction_distance(query.columns, gallery.columns, query.weights).argsort(1)
    half = reconstruction_distance(
        query.columns.to(dtype), gallery.columns.to(dtype), query.weights
    ).argsort(1)
    assert (half[:, 0] == exact[:, 0]).float().mean() >= first
    overlap = [
        len(set(a.tolist()) & set(b.tolist())) / 10
        for a, b in zip(half[:, :10], exact[:, :10], strict=True)
    ]
    assert sum(overlap) / QUERIES >= ten


def test_coarse_shortlist_holds_the_nearest(real: tuple[Images, Images]) -> None:
    query, gallery = real
    exact = reconstruction_distance(query.columns, gallery.columns, query.weights).argsort(1)
    rough = build_coarse(gallery, 64, 0.3)
    assert rough is not None
    shortlist = rough(query).argsort(1)[:, :24]
    held = (exact[:, :10, None] == shortlist[:, None]).any(2).float().mean()
    by_global = (1 - query.features @ gallery.features.T).argsort(1)[:, :24]
    held_by_global = (exact[:, :10, None] == by_global[:, None]).any(2).float().mean()
    assert held >= 0.95
    assert held > held_by_global
