"""The matching on what networks give: of drawn people, and of real ones where these are there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from fastreid.modeling import build_model

from partialreid.commands.train import build_parser
from partialreid.data.catalogue import load_dataset
from partialreid.data.loaders import ImageItems, build_test_transform
from partialreid.engine.configuration import setup_config
from partialreid.engine.inference import load_model
from partialreid.matching.coarse_shortlist import build_coarse
from partialreid.matching.extracted import Images
from partialreid.matching.reconstruction import reconstruction_distance
from tests.reconstruction_oracle import oracle

pytestmark = pytest.mark.slow(minutes=0.03)  # by their networks

SPLIT = "Market-1501-v15.09.15"
QUERIES, GALLERIES = 12, 120
# How much of the ten nearest a coarse shortlist of 24 holds at least, of 120.
HELD = {"drawn": 0.9, "real": 0.95}


class Sides(NamedTuple):
    """Queries and gallery images as the network sees them, some of the same persons."""

    kind: str
    query: Images
    gallery: Images


def config(name: str, *options: str) -> Any:
    arguments = ["--config-file", f"{name}.yml", "MODEL.DEVICE", "cpu", *options]
    return setup_config(build_parser().parse_args(arguments))


def images(model: torch.nn.Module, cfg: Any, items: list[Any]) -> Images:
    data = ImageItems(items, build_test_transform(cfg, None))
    with torch.no_grad():
        features, columns, scores = model(
            torch.stack([data[i]["images"] for i in range(len(data))])
        )
    return Images(F.normalize(features), F.normalize(columns, dim=1), scores)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    """Drawn people through an untrained network: its columns are alike, which is the hard case."""
    root = str(tmp_path_factory.mktemp("drawn"))
    cfg = config(
        "demo",
        *("DATASETS.ROOT", root, "DATASETS.SYNTHETIC.TRAIN_IDS", "2"),
        *("DATASETS.SYNTHETIC.TEST_IDS", str(GALLERIES // 4)),
    )
    data = load_dataset(cfg, "SyntheticPartial")
    cfg.defrost()
    cfg.MODEL.HEADS.NUM_CLASSES = 2
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    query = sorted(data.query)[:: len(data.query) // QUERIES][:QUERIES]
    return Sides("drawn", images(model, cfg, query), images(model, cfg, sorted(data.gallery)))


@pytest.fixture(scope="module")
def real(original_checkpoint: Path, market: Path) -> Sides:
    """Photographs of Market-1501 through the original's checkpoint."""
    cfg = config("market_mobilenetv2", "MODEL.WEIGHTS", str(original_checkpoint))
    model = load_model(cfg, str(original_checkpoint)).eval()
    names = sorted(n for n in os.listdir(market / SPLIT / "query") if n.endswith(".jpg"))
    query = names[::280][:QUERIES]
    wanted = {name[:4] for name in query}
    every = sorted(n for n in os.listdir(market / SPLIT / "bounding_box_test") if n[0] != "-")
    every = [n for n in every if n.endswith(".jpg")]
    same = [n for n in every if n[:4] in wanted][::4]
    gallery = (same + every[:: len(every) // GALLERIES])[:GALLERIES]
    parts = (("query", query), ("bounding_box_test", gallery))
    items = [[(str(market / SPLIT / folder / n), 0, 0) for n in some] for folder, some in parts]
    return Sides("real", *(images(model, cfg, part) for part in items))


@pytest.fixture(scope="module", params=["drawn", "real"])
def sides(request: pytest.FixtureRequest) -> Sides:
    return request.getfixturevalue(request.param)


def test_agrees_with_float64(sides: Sides) -> None:
    _, query, gallery = sides
    got = reconstruction_distance(query.columns, gallery.columns[:20], query.weights).double()
    wanted = oracle(query.columns, gallery.columns[:20], query.weights)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_copies_agree_with_float64(sides: Sides) -> None:
    _, query, gallery = sides
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
    sides: Sides, dtype: torch.dtype, first: float, ten: float
) -> None:
    """Share of equal nearest images, and overlap of the ten nearest."""
    _, query, gallery = sides
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


def test_coarse_shortlist_holds_the_nearest(sides: Sides) -> None:
    _, query, gallery = sides
    exact = reconstruction_distance(query.columns, gallery.columns, query.weights).argsort(1)
    rough = build_coarse(gallery, 64, 0.3)
    assert rough is not None
    shortlist = rough(query).argsort(1)[:, :24]
    held = (exact[:, :10, None] == shortlist[:, None]).any(2).float().mean()
    by_global = (1 - query.features @ gallery.features.T).argsort(1)[:, :24]
    held_by_global = (exact[:, :10, None] == by_global[:, None]).any(2).float().mean()
    assert held >= HELD[sides.kind]
    assert held > held_by_global
