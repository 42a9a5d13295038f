"""A step in bfloat16 on a CPU: its losses are float32, its gradients near those in float32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from fastreid.utils.events import EventStorage
from torch import Tensor

from tests.small_systems import SYSTEMS, batch, config, network

# 0.99 mostly. Features of an untrained network are nearly alike: with another rounding, as that of
# a processor with AMX, a triplet loss takes other images for the farthest and the nearest: 0.95.
NEAR = 0.9
KINDS = [name for name in SYSTEMS if name != "Baseline"]


def step(kind: str, mixed: bool) -> tuple[dict[str, Tensor], Tensor]:
    """The losses of one batch, and the gradient of all weights as one vector."""
    model, _, _ = network(config("cpu", *SYSTEMS[kind], "MODEL.CHANNELS_LAST", "on"))
    torch.manual_seed(0)  # the same cut
    with EventStorage(0), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        losses = model(batch(1))
        total = torch.stack([*losses.values()]).sum()
    total.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return losses, torch.cat(gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_near_that_in_float32(kind: str) -> None:
    losses, gradient = step(kind, mixed=True)
    wanted, exact = step(kind, mixed=False)
    assert not torch.equal(gradient, exact)
    for name, value in wanted.items():
        assert losses[name].dtype == torch.float32, name
        # Nor was it rounded to bfloat16 on the way.
        assert not torch.equal(losses[name], losses[name].bfloat16().float()), name
        torch.testing.assert_close(losses[name], value, rtol=0.02, atol=0.02)
    assert gradient.isfinite().all()
    cosine = float(F.cosine_similarity(gradient.double(), exact.double(), dim=0))
    assert cosine > NEAR, cosine
