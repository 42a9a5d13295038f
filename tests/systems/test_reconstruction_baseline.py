"""A training step of ReconstructionBaseline: what the network sees, and what is compared."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fastreid.utils.events import EventStorage
from torch import Tensor

from partialreid.systems import reconstruction_baseline
from partialreid.systems.reconstruction_loss import reconstruction_loss
from tests.small_systems import SIZE, SYSTEMS, batch, config, network


def losses_of(model: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    with EventStorage(0):
        return model(inputs)


def test_a_cut_batch_goes_through_in_two_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, *_ = network(config("cpu", *SYSTEMS["ours"]))
    seen, compared = [], []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))

    def loss(query: Any, gallery: Any, **options: Any) -> Tensor:
        compared.append((query, gallery))
        return reconstruction_loss(query, gallery, **options)

    monkeypatch.setattr(reconstruction_baseline, "reconstruction_loss", loss)
    torch.manual_seed(0)
    inputs = batch(0)
    losses = losses_of(model, inputs)
    assert set(losses) == {
        "loss_cls", "loss_fore_cls", "loss_triplet", "loss_fore_triplet", "loss_foreground",
        "loss_reconstruction",
    }  # fmt: skip
    # Of each identity's two images the even one is half hidden: it is the query.
    half = SIZE[0] // 2
    assert [tuple(x.shape) for x in seen] == [(4, 3, half, SIZE[1]), (4, 3, *SIZE)]
    torch.testing.assert_close(seen[1], model.preprocess_image(inputs["images"][1::2]))
    whole = model.preprocess_image(inputs["images"][::2])
    tops = [t for t in range(0, half + 1, 8) if torch.equal(seen[0], whole[:, :, t : t + half])]
    assert len(tops) == 1
    ((columns, weights, query_labels), (spans, gallery_labels)) = compared[0]
    assert query_labels.tolist() == gallery_labels.tolist() == [0, 1, 2, 3]
    assert columns.shape[2] == weights.shape[1] < spans.shape[2]


def test_losses_are_means_over_the_batch() -> None:
    """With queries of half the batch each half counts half: as one batch of batch norm's eyes."""
    model, *_ = network(config("cpu", *SYSTEMS["ours"], "INPUT.CUT.SHARE", (1.0, 1.0)))
    plain, *_ = network(config("cpu", *SYSTEMS["FPR"]))
    plain.load_state_dict(model.state_dict())
    ours, theirs = losses_of(model, batch(0)), losses_of(plain, batch(0))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, atol=1e-4, rtol=1e-4)


def test_masks_are_cut_as_images_are() -> None:
    """A generator that knows the masks has no loss, cut or not: targets lie at their columns."""
    model, *_ = network(config("cpu", *SYSTEMS["ours"]))
    inputs = batch(0)
    inputs["masks"] = torch.rand(8, *SIZE, generator=torch.Generator().manual_seed(0)) < 0.5
    seen: list[Tensor] = []
    model.more_losses = lambda outputs, batched, labels: seen.append(batched["masks"]) or {}
    images: list[Tensor] = []
    model.backbone.register_forward_pre_hook(lambda _, args: images.append(args[0]))
    inputs["images"] = inputs["masks"][:, None].expand(-1, 3, -1, -1).float() * 255
    losses_of(model, inputs)
    for image, mask in zip(images, seen, strict=True):
        white = image > image.mean((0, 2, 3), keepdim=True)
        assert torch.equal(white[:, 0], mask)


def test_one_identity_as_in_precise_batch_norm() -> None:
    model, *_ = network(config("cpu", *SYSTEMS["ours"]))
    inputs = {**batch(0), "targets": torch.full((8,), -1)}
    assert all(value.isfinite() for value in losses_of(model, inputs).values())


def test_masks_are_needed() -> None:
    model, *_ = network(config("cpu", *SYSTEMS["ours"]))
    inputs = batch(0)
    del inputs["masks"]
    with pytest.raises(KeyError, match=r"ReconstructionBaseline needs masks: set INPUT\.OCCLUSION"):
        losses_of(model, inputs)
