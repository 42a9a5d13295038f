"""A training step of ReconstructionBaseline: what the network sees, and what is compared."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fastreid.utils.events import EventStorage
from torch import Tensor, nn

from partialreid.systems import reconstruction_baseline
from partialreid.systems.reconstruction_loss import reconstruction_loss
from tests.small_systems import SIZE, SYSTEMS, batch, config, network, of_timm


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


def test_a_part_of_the_queries_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns are drawn from those of a part, and the network sees whole images."""
    part = "MODEL.LOSSES.RECONSTRUCTION.PART"
    keys = ["INPUT.CUT.PROB", 0.0, f"{part}.PROB", 1.0, f"{part}.SHARE", "(0.5, 0.5)"]
    seen: list[Any] = []

    def loss(query: Any, gallery: Any, **options: Any) -> Tensor:
        seen.append((options["places"], query[0].shape[2]))
        return reconstruction_loss(query, gallery, **options)

    monkeypatch.setattr(reconstruction_baseline, "reconstruction_loss", loss)
    model, *_ = network(config("cpu", *SYSTEMS["ours"], *keys))
    torch.manual_seed(0)
    for _ in range(3):
        assert losses_of(model, batch(0))["loss_reconstruction"] > 0
    assert all(0 < len(places) < count for places, count in seen)
    assert len({tuple(places.tolist()) for places, _ in seen}) > 1


def test_cut_queries_are_normalised_as_in_a_test() -> None:
    """By the statistics that the gallery half leaves, which they do not change."""
    model, *_ = network(config("cpu", *SYSTEMS["ours"], "INPUT.CUT.STATISTICS", "running"))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    norms[0].eval()  # frozen: it stays so
    seen: list[tuple[int, bool]] = []
    model.backbone.register_forward_pre_hook(
        lambda _, args: seen.append((args[0].shape[2], norms[1].training))
    )
    torch.manual_seed(0)
    inputs = batch(0)
    losses = losses_of(model, inputs)
    sum(losses.values()).backward()
    assert seen == [(SIZE[0], True), (SIZE[0] // 2, False)]
    assert not norms[0].training and all(norm.training for norm in norms[1:])
    # The gallery half alone leaves the same statistics.
    other, *_ = network(config("cpu", *SYSTEMS["ours"], "INPUT.CUT.PROB", 0.0))
    others = [m for m in other.modules() if isinstance(m, nn.BatchNorm2d)]
    others[0].eval()
    other.heads(other.backbone(other.preprocess_image(inputs["images"][1::2])), None)
    for mine, theirs in zip(norms, others, strict=True):
        torch.testing.assert_close(mine.running_mean, theirs.running_mean)
        torch.testing.assert_close(mine.running_var, theirs.running_var)


def test_a_whole_batch_leaves_the_statistics_of_all_its_images() -> None:
    """Whatever is drawn, it goes through once: precise and shared batch norm need no less."""
    keys = ["INPUT.CUT.PROB", 0.0]
    model, *_ = network(config("cpu", *SYSTEMS["ours"], *keys))
    seen: list[Tensor] = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    inputs = batch(0)
    losses_of(model, inputs)
    assert [tuple(x.shape) for x in seen] == [(8, 3, *SIZE)]
    other, *_ = network(config("cpu", *SYSTEMS["ours"], *keys))
    other.heads(other.backbone(other.preprocess_image(inputs["images"])), None)
    for mine, theirs in zip(model.modules(), other.modules(), strict=True):
        if isinstance(mine, nn.BatchNorm2d):
            torch.testing.assert_close(mine.running_mean, theirs.running_mean)
            torch.testing.assert_close(mine.running_var, theirs.running_var)


@pytest.mark.parametrize("statistics", ["own", "running"])
def test_either_way_the_queries_are_compared_with_the_gallery(
    statistics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ["INPUT.CUT.STATISTICS", statistics, "INPUT.CUT.PROB", 1.0]
    model, *_ = network(config("cpu", *SYSTEMS["ours"], *keys))
    compared: list[Any] = []
    counted: list[list[int]] = []
    monkeypatch.setattr(
        reconstruction_baseline,
        "reconstruction_loss",
        lambda query, gallery, **_: compared.append((query, gallery)) or query[0].sum() * 0,
    )
    monkeypatch.setattr(
        reconstruction_baseline,
        "log_accuracy",
        lambda logits, labels: counted.append(labels.tolist()),
    )
    inputs = batch(0)
    inputs["images"] = torch.arange(8.0)[:, None, None, None].expand(8, 3, *SIZE) * 20
    model.backbone = Numbered()
    losses_of(model, inputs)
    (((columns, _, query_labels), (spans, gallery_labels)),) = compared
    assert columns[:, 0, 0].tolist() == [0, 2, 4, 6] and spans[:, 0, 0].tolist() == [1, 3, 5, 7]
    assert query_labels.tolist() == gallery_labels.tolist() == [0, 1, 2, 3]
    assert counted == [[0, 1, 2, 3, 0, 1, 2, 3]]


def test_losses_are_means_over_the_batch() -> None:
    """Each half of a cut batch counts by its share, beside the losses of the half by itself."""
    model, *_ = network(config("cpu", *SYSTEMS["ours"]))
    parts: list[dict[str, Tensor]] = []
    losses = model.losses

    def noted(outputs: Any, labels: Tensor) -> dict[str, Tensor]:
        parts.append(losses(outputs, labels))
        return parts[-1]

    model.losses = noted
    found = losses_of(model, batch(0))
    assert len(parts) == 2
    for name in parts[0]:
        torch.testing.assert_close(found[name], (parts[0][name] + parts[1][name]) / 2)


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_queries_are_compared_with_the_gallery(cut: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut or whole: what is compared comes from the images of each half, in their order."""
    model, *_ = network(config("cpu", *SYSTEMS["ours"], "INPUT.CUT.PROB", cut))
    compared: list[Any] = []
    monkeypatch.setattr(
        reconstruction_baseline,
        "reconstruction_loss",
        lambda query, gallery, **_: compared.append((query, gallery)) or query[0].sum() * 0,
    )
    # Columns that say which image they are of: those of a map of its number.
    inputs = batch(0)
    inputs["images"] = torch.arange(8.0)[:, None, None, None].expand(8, 3, *SIZE) * 20
    model.backbone = Numbered()
    losses_of(model, inputs)
    (((columns, _, query_labels), (spans, gallery_labels)),) = compared
    assert columns[:, 0, 0].tolist() == [0, 2, 4, 6]
    assert spans[:, 0, 0].tolist() == [1, 3, 5, 7]
    assert query_labels.tolist() == gallery_labels.tolist() == [0, 1, 2, 3]


class Numbered(nn.Module):
    """A backbone whose map holds the number of the image, in as many channels as the head wants."""

    def forward(self, images: Tensor) -> Tensor:
        # Pixels were normalised: the smallest number is 0, and the images are 20 apart.
        numbers = images[:, :1, ::8, ::8]
        spread = 20 / (0.229 * 255)
        lowest = -0.485 / 0.229
        return ((numbers - lowest) / spread).round().expand(-1, 128, -1, -1)


def test_masks_are_cut_as_images_are() -> None:
    """Images that are white where the mask is true stay so in each half."""
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


def test_accuracy_is_that_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, *_ = network(config("cpu", *SYSTEMS["ours"]))
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(
        reconstruction_baseline,
        "log_accuracy",
        lambda logits, labels: sizes.append((len(logits), len(labels))),
    )
    losses_of(model, batch(0))
    assert sizes == [(8, 8)]


def test_one_identity() -> None:
    model, *_ = network(config("cpu", *SYSTEMS["ours"]))
    inputs = {**batch(0), "targets": torch.full((8,), -1)}
    assert all(value.isfinite() for value in losses_of(model, inputs).values())


@pytest.mark.parametrize("cut", [0.0, 1.0], ids=["whole", "cut"])
@pytest.mark.parametrize(("name", "channels"), [("test_resnet", 96), ("test_vit", 64)])
def test_a_network_of_timm_learns(name: str, channels: int, cut: float) -> None:
    """Whole queries go through it with the gallery, cut ones before it; both reach its stem."""
    keys = [*of_timm(name, channels, last_stride=1), "INPUT.CUT.PROB", cut]
    model, optimizer, _ = network(config("cpu", *SYSTEMS["ours"], *keys))
    seen: list[tuple[int, ...]] = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    torch.manual_seed(0)
    losses = losses_of(model, batch(0))
    assert "loss_reconstruction" in losses
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    half = (4, 3, SIZE[0] // 2, SIZE[1])
    assert seen == ([half, (4, 3, *SIZE)] if cut else [(8, 3, *SIZE)])
    learning = {k: p for k, p in model.backbone.named_parameters() if p.requires_grad}
    for k, parameter in learning.items():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), k
    stem = next(iter(p for p in learning.values() if p.ndim == 4))
    assert stem.grad is not None and stem.grad.any()
    before = stem.detach().clone()
    optimizer.step()
    assert stem.isfinite().all() and not torch.equal(stem, before)


def test_masks_are_needed() -> None:
    model, *_ = network(config("cpu", *SYSTEMS["ours"]))
    inputs = batch(0)
    del inputs["masks"]
    with pytest.raises(KeyError, match=r"ReconstructionBaseline needs masks: set INPUT\.OCCLUSION"):
        losses_of(model, inputs)
