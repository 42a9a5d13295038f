"""Batch-norm statistics of two processes, by which a training may normalise its cut queries."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fastreid.utils import comm
from fastreid.utils.events import EventStorage
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

# Child processes import this module and no conftest: partialreid comes before fastreid here too.
import partialreid  # noqa: F401
from partialreid.engine.hook_order import ordered_hooks
from partialreid.engine.hooks import ShareStatistics
from partialreid.engine.inference import share_buffers
from partialreid.engine.launching import launch
from tests.small_systems import SYSTEMS, batch, config, network

BETWEEN = ("nothing", "evaluation", "resumption")


def two_epochs(between: str, hook: bool) -> Tensor:
    """The weights after two epochs of two steps, with what an evaluation or a resumption changes.

    Args:
        between: what comes between the epochs.
        hook: whether the hook runs that each training has.
    """
    running = ["INPUT.CUT.STATISTICS", "running"]
    model, optimizer, _ = network(config("cpu", *SYSTEMS["ours"], *running))
    parallel = DistributedDataParallel(model, broadcast_buffers=False)
    for epoch in range(2):
        if epoch and between == "evaluation":
            share_buffers(model)
        if epoch and between == "resumption":
            # The main process alone writes a checkpoint; all read it.
            model.load_state_dict(comm.all_gather(model.state_dict())[0])
        if hook:
            ShareStatistics(parallel).before_epoch()
        for step in range(2):
            number = 2 * (2 * epoch + step) + comm.get_rank()
            torch.manual_seed(number)
            with EventStorage(0):
                loss = sum(parallel(batch(number)).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def compare(folder: str) -> None:
    """Whether all ways end with the same weights, with the hook and without."""
    alike = {}
    for hook in (True, False):
        straight, *others = (two_epochs(between, hook) for between in BETWEEN)
        alike[str(hook)] = [torch.equal(straight, other) for other in others]
    if comm.is_main_process():
        Path(folder, "alike.json").write_text(json.dumps(alike))


@pytest.mark.slow
def test_processes_go_on_alike_whether_evaluated_resumed_or_neither(
    tmp_path: Path, time_limit
) -> None:
    with time_limit(300):
        launch(compare, "cpu", 2, args=(str(tmp_path),))
    alike = json.loads((tmp_path / "alike.json").read_text())
    assert alike == {"True": [True, True], "False": [False, False]}


def test_every_training_has_the_hook(make_config) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    trainer = SimpleNamespace(
        cfg=make_config(),
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        scheduler={},
        checkpointer=None,
        evaluated=SimpleNamespace(best_metric=0.0),
        build_writers=list,
    )
    hooks = ordered_hooks(trainer, dict)
    assert [hook.model for hook in hooks if isinstance(hook, ShareStatistics)] == [model]
