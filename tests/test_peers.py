"""What the other ways of `benchmarks.peers` find is what ours finds: else nothing is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import peers, plain_pytorch
from partialreid.dsr_distance import compute_dsr_dist
from partialreid.metrics.report import summarize
from tests.reconstruction_oracle import features, weights_of


def test_plain_ranking_is_the_protocol() -> None:
    generator = torch.Generator().manual_seed(0)
    distances = torch.rand(20, 60, generator=generator)
    draw = np.random.default_rng(0)
    identities = np.concatenate([np.arange(20) % 7, draw.integers(0, 7, 60)])
    cameras = np.concatenate([np.zeros(20, int), draw.integers(0, 2, 60)])
    items = [("", int(pid), int(camera)) for pid, camera in zip(identities, cameras, strict=True)]
    ids = identities[:20], identities[20:], cameras[:20], cameras[20:]
    wanted = summarize(distances, ids)
    found = plain_pytorch.ranked(distances, items)
    assert found == pytest.approx((wanted["Rank-1"], wanted["mAP"]))
    assert 0 < found[0] < 100


def test_plain_distances_are_ours() -> None:
    columns, weights = features(1, 15, 32, 5), weights_of(2, 15, 5)
    near = plain_pytorch.global_distance(columns.flatten(1), 5)
    units = torch.nn.functional.normalize(columns.flatten(1), dim=1)
    torch.testing.assert_close(near, 1 - units[:5] @ units[5:].T, atol=1e-6, rtol=0)
    found = plain_pytorch.reconstruction(near, columns, weights, 4, 1e-3)
    wanted = compute_dsr_dist(columns[:5], columns[5:], near, weights[:5], topk=4)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert (found == plain_pytorch.FILL).sum() == 5 * 6


@pytest.mark.slow
@pytest.mark.parametrize("distance", peers.DISTANCES)
def test_all_ways_find_the_same(
    distance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PEOPLE", 6)
    monkeypatch.setattr(peers, "GALLERY_SHOTS", 2)
    small = ["MODEL.BACKBONE.DEPTH", "0.25x", "TEST.DSR.TOPK", "5"]
    rows = {row["way"]: row for row in peers.measure(tmp_path, distance, 1, small)}
    first, *others = rows.values()
    assert first["times faster"] == 1 and first["mAP"] > 0
    if distance == "global":
        alike = [rows[way] for way in (peers.STOCK, peers.PLAIN, "ours")]
    else:
        alike = [rows[way] for way in (peers.PLAIN, "ours, what plain PyTorch does")]
    for row in alike:
        assert row["Rank-1"] == pytest.approx(first["Rank-1"], abs=1e-4), row
        assert row["mAP"] == pytest.approx(first["mAP"], abs=1e-4), row
    assert len(others) == 3 and all(row["images/s"] > 0 for row in others)
