"""The reconstruction verification loss: mining, gradients with W fixed, and what they do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from partialreid.matching.differentiable import coded_distance, ridge_codes
from partialreid.matching.lasso import lasso_codes
from partialreid.systems import verification_loss as verification_module
from partialreid.systems.verification_loss import hard_pairs, verification_loss
from tests.standin.gpu import StandInGpu


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    probe = torch.randn(6, 12, 3, generator=generator, dtype=torch.float64)
    gallery = torch.randn(6, 12, 5, generator=generator, dtype=torch.float64)
    return probe, gallery, torch.tensor([0, 0, 0, 1, 1, 2])


def test_hardest_pairs_by_a_loop() -> None:
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
    labels = batch()[2]
    pairs, alpha = hard_pairs(features, labels, 100)
    # Image 5 is alone of its person: it is no anchor.
    assert pairs[:, 0].tolist() == [0, 1, 2, 3, 4] * 2
    assert alpha.tolist() == [1] * 5 + [-1] * 5
    unit = F.normalize(features, dim=1)
    for (probe, gallery), sign in zip(pairs.tolist(), alpha.tolist(), strict=True):
        same = [j for j in range(6) if j != probe and labels[j] == labels[probe]]
        other = [j for j in range(6) if labels[j] != labels[probe]]
        nearness = {j: float(unit[probe] @ unit[j]) for j in (same if sign > 0 else other)}
        assert gallery == (min if sign > 0 else max)(nearness, key=nearness.__getitem__)


def test_number_of_pairs_and_batches_without_any() -> None:
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
    assert len(hard_pairs(features, batch()[2], 4)[0]) == 4
    for labels in (torch.arange(6), torch.zeros(6, dtype=torch.long)):
        pairs, alpha = hard_pairs(features, labels, 4)
        assert pairs.shape == (0, 2)
        probe, gallery, _ = batch()
        loss = verification_loss(probe.requires_grad_(), gallery, pairs, alpha)
        loss.backward()
        assert loss == 0


@pytest.mark.parametrize("codes", ["lasso", "ridge"])
def test_gradient_is_that_of_fixed_codes(codes: str) -> None:
    """dL/dX = 2 alpha (X - Y W) / N and dL/dY = -2 alpha (X - Y W) W' / N of unit columns."""
    probe, gallery, _ = batch()
    x, y = (F.normalize(side.float(), dim=1)[:1].requires_grad_() for side in (probe, gallery))
    pairs, alpha = torch.tensor([[0, 0]]), torch.tensor([-1.0])
    verification_loss(x, y, pairs, alpha, codes=codes, beta=0.2, kappa=0.1).backward()
    x0, y0 = x.detach()[0].double(), y.detach()[0].double()
    if codes == "lasso":
        w = lasso_codes(y0.T @ y0, y0.T @ x0, 0.2)
    else:
        w = torch.linalg.solve(y0.T @ y0 + 0.1 * torch.eye(5), y0.T @ x0)
    residual = x0 - y0 @ w
    for leaf, wanted in ((x, -2 * residual / 3), (y, 2 * residual @ w.T / 3)):
        columns = leaf.detach()[0].double()
        # Through the normalisation only what is orthogonal to a column passes.
        wanted = wanted - columns * (columns * wanted).sum(0)
        torch.testing.assert_close(leaf.grad[0].double(), wanted, atol=1e-5, rtol=1e-4)


def test_steps_bring_a_person_together_and_others_apart() -> None:
    probe, gallery, labels = batch()
    leaf = gallery.float().requires_grad_()
    pairs, alpha = hard_pairs(probe.mean(2).float(), labels, 10)
    optimizer = torch.optim.Adam([leaf], lr=0.1)

    def mean_errors() -> tuple[float, float]:
        with torch.no_grad():
            own, other = (
                float(
                    verification_loss(probe, leaf, pairs[alpha == s], alpha[alpha == s], beta=0.05)
                )
                for s in (1, -1)
            )
        return own, -other

    before = mean_errors()
    for _ in range(30):
        optimizer.zero_grad()
        verification_loss(probe, leaf, pairs, alpha, beta=0.05).backward()
        optimizer.step()
    after = mean_errors()
    assert after[1] - after[0] > before[1] - before[0] + 0.05


def test_tolerance_reaches_the_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    found = verification_module.lasso_codes

    def codes(*arguments: Any, tolerance: float) -> torch.Tensor:
        asked.append(tolerance)
        return found(*arguments, tolerance=tolerance)

    monkeypatch.setattr(verification_module, "lasso_codes", codes)
    columns = torch.rand(2, 6, 4, generator=torch.Generator().manual_seed(0))
    pairs, alpha = torch.tensor([[0, 1]]), torch.ones(1)
    verification_loss(columns, columns, pairs, alpha)
    verification_loss(columns, columns, pairs, alpha, tolerance=0.25)
    assert asked == [1e-4, 0.25]


def test_unknown_codes() -> None:
    probe, gallery, _ = batch()
    with pytest.raises(ValueError, match="lasso or ridge"):
        verification_loss(probe, gallery, torch.tensor([[0, 1]]), torch.ones(1), codes="omp")


def pair_by_pair(
    probe: torch.Tensor, gallery: torch.Tensor, pairs: torch.Tensor, alpha: torch.Tensor, codes: str
) -> torch.Tensor:
    """The loss by a loop over pairs, each of which is coded alone."""
    found = []
    for asking, asked in pairs.tolist():
        x, y = F.normalize(probe[asking], dim=0), F.normalize(gallery[asked], dim=0)
        with torch.no_grad():
            if codes == "ridge":
                w = ridge_codes(x, y, 1e-3)
            else:
                w = lasso_codes(y.double().T @ y.double(), y.double().T @ x.double(), 0.1)
        found.append(coded_distance(x, y, w, squared=True))
    return (alpha * torch.stack(found)).mean()


@pytest.mark.parametrize("codes", ["lasso", "ridge"])
def test_all_pairs_at_once_are_the_pairs_one_by_one(codes: str) -> None:
    probe, gallery, labels = batch()
    pairs, alpha = hard_pairs(probe.mean(2), labels, 10)
    gradients = []
    for loss in (verification_loss, pair_by_pair):
        x, y = probe.float().requires_grad_(), gallery.float().requires_grad_()
        options = {"codes": codes, "beta": 0.1} if loss is verification_loss else {"codes": codes}
        value = loss(x, y, pairs, alpha.float(), **options)
        value.backward()
        gradients.append((value.detach(), x.grad, y.grad))
    for got, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(("codes", "waits"), [("lasso", 2), ("ridge", 2)])
def test_waits_do_not_grow_with_the_pairs(
    standin: StandInGpu, codes: str, waits: int, dtype: torch.dtype
) -> None:
    """One wait for the number of usable anchors, one for the codes; values are the CPU's."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(12) // 2
    features, probe, gallery = (
        torch.randn(12, 24, *size, generator=generator).to(dtype) for size in ((), (6,), (11,))
    )
    for count in (4, 24):
        values, waited = [], []
        for device in (torch.device("cpu"), standin.device):
            sides = [side.clone().to(device).requires_grad_() for side in (probe, gallery)]
            given = features.to(device), labels.to(device)
            with standin.count() as seen, torch.autocast(device.type, dtype=torch.bfloat16):
                pairs, alpha = hard_pairs(*given, count)
                loss = verification_loss(*sides, pairs, alpha, codes=codes)
                loss.backward()
            waited.append(seen.synchronisations)
            values.append([value.detach().cpu() for value in (pairs, loss, sides[0].grad)])
        assert len(values[0][0]) == count
        assert waited == [0, waits], seen
        for got, wanted in zip(*values, strict=True):
            torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)


def test_mining_is_in_float32_under_autocast() -> None:
    """In bfloat16 the four other images would be equally near."""
    features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1, 0.0201], [1, 0.0202], [1, 0.02]])
    labels = torch.tensor([0, 0, 1, 2, 3])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pairs, _ = hard_pairs(features, labels, 4)
    assert pairs.tolist() == [[0, 1], [1, 0], [0, 4], [1, 3]]
