"""Every combination of losses trains on two processes, which stay equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.utils.events import EventStorage
from torch.nn.parallel import DistributedDataParallel

# Child processes import this module and no conftest: partialreid comes before fastreid here too.
import partialreid  # noqa: F401
from partialreid.engine.launching import launch
from tests.small_systems import SYSTEMS, batch, config, network

NAMES = (("CrossEntropyLoss",), ("TripletLoss",), ("CrossEntropyLoss", "TripletLoss"))
CASES = [
    (system, names, place) for system in SYSTEMS for names in NAMES for place in ("before", "after")
]


def steps(system: str, names: tuple[str, ...], place: str) -> dict[str, Any]:
    """Two steps on batches of this process; DDP misses a gradient in the second."""
    options = ["MODEL.LOSSES.NAME", names, "MODEL.HEADS.NECK_FEAT", place]
    model, optimizer, _ = network(config("cpu", *SYSTEMS[system], *options))
    keys = sorted(model.state_dict())
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    parallel = DistributedDataParallel(model, broadcast_buffers=False)
    rank = torch.distributed.get_rank()
    for number in range(2):
        with EventStorage(0):
            loss = sum(parallel(batch(2 * number + rank)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = torch.cat([value.detach().flatten() for value in model.parameters()])
    both = [torch.empty_like(weights) for _ in range(2)]
    torch.distributed.all_gather(both, weights)
    after = dict(model.named_parameters())
    return {
        "equal": torch.equal(*both),
        "still": sorted(name for name in before if torch.equal(before[name], after[name])),
        "keys": keys,
    }


def train(folder: str) -> None:
    results = [steps(*case) for case in CASES]
    if torch.distributed.get_rank() == 0:
        Path(folder, "results.json").write_text(json.dumps(results))


@pytest.mark.slow
def test_processes_stay_equal(tmp_path: Path, time_limit) -> None:
    """One start of the processes for all cases: it takes longer than they do."""
    with time_limit(300):
        launch(train, "cpu", 2, args=(str(tmp_path),))
    results = json.loads((tmp_path / "results.json").read_text())
    keys: dict[str, list[str]] = {}
    for (system, names, place), found in zip(CASES, results, strict=True):
        case = (system, names, place)
        assert found["equal"], case
        # A checkpoint has the same keys with all losses.
        assert found["keys"] == keys.setdefault(system, found["keys"]), case
        # FastReID fixes the biases of the necks. Without cross entropy nothing reaches the
        # classifiers, nor the necks if the features of the triplet loss are taken before them.
        still = {name for name in found["still"] if not name.endswith(".bias")}
        twice = system in ("FastReID-DSR", "FPR", "ours")
        wanted: set[str] = set()
        if "CrossEntropyLoss" not in names:
            wanted |= {"heads.weight"} | ({"heads.weight_occ"} if twice else set())
            if place == "before":
                wanted |= {"heads.bottleneck.0.weight"}
                wanted |= {"heads.bnneck_occ.0.weight"} if twice else set()
        assert still == wanted, case
