"""How often the host waits for the GPU in one training step: at most as often as is stated here."""

from __future__ import annotations

from typing import Any

import pytest
from fastreid.utils.events import EventStorage

from partialreid.engine.training_steps import FullPrecisionSteps, MixedPrecisionSteps
from tests.small_systems import SYSTEMS, batch, config, network
from tests.standin.gpu import StandInGpu

# Of every step: the losses are fetched to be logged, and so is the accuracy. In mixed precision the
# host also asks whether a gradient has overflowed.
LOGGED = {FullPrecisionSteps: 2, MixedPrecisionSteps: 3}
# FastReID counts the images whose cross entropy is not zero, and looks whether a triplet loss with
# a soft margin is infinite: both once on each branch.
BRANCHES = 4
# One cross entropy; the pairs that there are; and the Gram matrices for the lasso, which is solved
# on the CPU, or whether a factor of the ridge failed.
VERIFICATION = 3
# FastReID's Baseline asks whether precise batch norm has marked the batch; cross entropy; triplets.
BASELINE = 3
# Queries and gallery go through the losses one after the other.
HALVES = 2 * BRANCHES
WAITS = {"FastReID-DSR": BRANCHES, "FPR": BRANCHES, "DSR": VERIFICATION, "SFR": VERIFICATION}
WAITS["ours"] = HALVES
WAITS["Baseline"] = BASELINE


@pytest.mark.parametrize("kind", LOGGED)
@pytest.mark.parametrize("system", SYSTEMS)
def test_step(standin: StandInGpu, system: str, kind: Any) -> None:
    model, optimizer, wrapper = network(config(standin.name, *SYSTEMS[system]))
    trainer = kind(model, [batch(0), batch(1)], optimizer, wrapper)
    with EventStorage(0):
        trainer.run_step()
        with standin.count() as seen:
            trainer.run_step()
    assert seen.synchronisations <= LOGGED[kind] + WAITS[system], seen
    # The batch is sent without waiting for its arrival.
    assert seen.transfers == 0, seen


def test_a_part_of_the_queries_costs_no_wait(standin: StandInGpu) -> None:
    """Which columns are its own is known on the host, and sent without waiting."""
    part = ["MODEL.LOSSES.RECONSTRUCTION.PART.PROB", 1.0]
    model, optimizer, wrapper = network(config(standin.name, *SYSTEMS["ours"], *part))
    trainer = FullPrecisionSteps(model, [batch(0), batch(1)], optimizer, wrapper)
    with EventStorage(0):
        trainer.run_step()
        with standin.count() as seen:
            trainer.run_step()
    assert seen.synchronisations <= LOGGED[FullPrecisionSteps] + WAITS["ours"], seen
    assert seen.transfers == 0, seen
