"""Networks in evaluation on the stand-in GPU: batch norm folded, in float32 and in bfloat16."""

from __future__ import annotations

import pytest
import torch

from partialreid.engine.evaluation_network import evaluation_network
from tests.backbones.test_batch_norm_folding import difference, norms
from tests.engine.test_evaluation_network import KINDS, images, made, outputs_of, parts
from tests.standin.gpu import StandInGpu

# Autocast has other lists on a GPU than on a CPU.
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.05}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "channels last"])
def test_outputs_are_those_of_the_cpu(standin: StandInGpu, kind: str, dtype: str) -> None:
    wanted = outputs_of(evaluation_network(*made(kind, dtype)))
    fast = evaluation_network(*made(kind, dtype, standin.name))
    assert not norms(fast.backbone)
    with torch.inference_mode():
        batch = images().to(standin.device)
        with standin.count() as seen:
            found = fast(batch)
    assert seen.synchronisations == 0, seen
    for ours, theirs in zip(parts(found), parts(wanted), strict=True):
        assert ours.device == standin.device
        assert difference(ours.cpu(), theirs) < TOLERANCE[dtype]
