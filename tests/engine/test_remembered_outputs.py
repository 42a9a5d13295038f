"""Every image runs once, and its outputs come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from partialreid.engine.remembered_outputs import RememberedOutputs


class Network(nn.Module):
    """Outputs that depend on the image, and how many columns on its size."""

    def forward(self, inputs):
        images = inputs["images"]
        columns = images.flatten(2)[:, :, :: images.shape[3]]
        return images.mean((2, 3)), columns, columns.sum(1)


def batch(paths: str, height: int = 4, seed: int = 0) -> dict:
    images = {}
    for path in "abcdef":
        generator = torch.Generator().manual_seed(ord(path) + 100 * height + seed)
        images[path] = torch.rand(3, height, 2, generator=generator)
    return {"images": torch.stack([images[p] for p in paths]), "img_paths": list(paths)}


@pytest.mark.parametrize("memory", [0, 200, 1e9])
def test_outputs_come_back_bit_by_bit(tmp_path: Path, memory: float) -> None:
    network = Network()
    model = RememberedOutputs(network, memory, tmp_path)
    for paths, height, run in (
        ("abc", 4, 3),
        ("cba", 4, 3),  # all known, in another order
        ("cd", 4, 5),  # one is not: the batch runs
        ("d", 4, 5),
        ("ab", 6, 7),  # another size is another image
        ("ba", 6, 7),
        ("da", 4, 7),
    ):
        inputs = batch(paths, height)
        for found, wanted in zip(model(inputs), network(inputs), strict=True):
            torch.testing.assert_close(found, wanted, rtol=0, atol=0)
        assert model.images == run
    assert model.seconds > 0
    assert not list(tmp_path.iterdir())


class ChannelsAdjacent(Network):
    """As the heads of this project lay columns out."""

    def forward(self, inputs):
        features, columns, weights = super().forward(inputs)
        return features, columns.mT.contiguous().mT, weights


@pytest.mark.parametrize("network", [Network(), ChannelsAdjacent()], ids=lambda n: type(n).__name__)
def test_columns_lie_in_memory_as_they_did(tmp_path: Path, network: nn.Module) -> None:
    """Their norms are sums, which round by the order in which memory holds the summands."""
    model = RememberedOutputs(network, 1e9, tmp_path)
    inputs = batch("abc")
    ran, kept = model(inputs)[1], model(inputs)[1]
    assert model.images == 3
    assert (kept.stride(1) == 1) == (ran.stride(1) == 1)


class FeaturesAlone(nn.Module):
    """As FastReID's Baseline with EmbeddingHead."""

    def forward(self, inputs):
        return inputs["images"].mean((2, 3))


def test_features_alone_come_back_bit_by_bit(tmp_path: Path) -> None:
    network = FeaturesAlone()
    model = RememberedOutputs(network, 1e9, tmp_path)
    # Three images of three channels: nothing that can be taken apart by mistake.
    for paths, run in (("abc", 3), ("cba", 3), ("cd", 5), ("d", 5)):
        found, wanted = model(batch(paths)), network(batch(paths))
        assert isinstance(found, torch.Tensor)
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
        assert model.images == run
    torch.testing.assert_close(model(batch("ab", seed=1)), network(batch("ab")), rtol=0, atol=0)


def test_known_images_are_not_run(tmp_path: Path) -> None:
    model = RememberedOutputs(Network(), 1e9, tmp_path)
    first = model(batch("ab"))
    again = model(batch("ab", seed=1))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
