"""What an evaluator keeps of a network's outputs, and how much memory that takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from partialreid.evaluation import collected_outputs
from partialreid.evaluation.collected_outputs import CollectedOutputs
from partialreid.matching.columns import NotFiniteError
from partialreid.runtime.memory_budget import MemoryBudget
from tests.standin.gpu import StandInGpu


def collected(folder: Path, storage: torch.dtype | None = torch.float32) -> CollectedOutputs:
    return CollectedOutputs(storage, folder, lambda device: MemoryBudget(400, 100))


def batch(images: int, columns: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(columns)
    shapes = ((images, 4), (images, 5, columns), (images, columns))
    return tuple(torch.rand(shape, generator=generator) for shape in shapes)


def test_images_come_back_in_order(tmp_path: Path) -> None:
    seen = collected(tmp_path)
    batches = [batch(3, 6), batch(5, 2), batch(1, 9)]
    for number, outputs in enumerate(batches):
        ids = torch.full((len(outputs[0]),), number)
        seen.add(outputs, ids, ids + 10)
    assert len(seen) == 9
    assert seen.ids()[0].tolist() == [0] * 3 + [1] * 5 + [2]
    assert seen.ids()[1].tolist() == [10] * 3 + [11] * 5 + [12]
    features = seen.features()
    torch.testing.assert_close(features, torch.cat([outputs[0] for outputs in batches]))
    found = seen.images(features, 2, 9)
    columns = [image for outputs in batches for image in F.normalize(outputs[1], dim=1)]
    weights = [image for outputs in batches for image in outputs[2]]
    assert torch.equal(found.features, features[2:9])
    assert all(torch.equal(found.columns[i], columns[2 + i]) for i in range(7))
    assert all(torch.equal(found.weights[i], weights[2 + i]) for i in range(7))
    assert 0 < seen.store.bytes_in_memory <= 400
    assert seen.store.bytes_in_file > 0


def test_all_is_kept_where_the_outputs_lie(tmp_path: Path, standin: StandInGpu) -> None:
    asked = []

    def budget(device: torch.device) -> MemoryBudget:
        asked.append(device)
        return MemoryBudget(400, 100)

    seen = CollectedOutputs(torch.float32, tmp_path, budget)
    for columns in (3, 4):
        outputs = [part.to(standin.device) for part in batch(4, columns)]
        seen.add(tuple(outputs), torch.zeros(4), torch.zeros(4))
    assert asked == [standin.device]
    found = seen.images(seen.features(), 0, 8)
    for part in (found.features, found.columns[0], found.columns[7], found.weights[7]):
        assert part.device == standin.device


def test_features_alone(tmp_path: Path) -> None:
    seen = collected(tmp_path, None)
    features, columns, weights = batch(3, 6)
    seen.add(features, torch.arange(3), torch.arange(3))
    seen.add((features, columns, weights), torch.arange(3), torch.arange(3))
    found = seen.images(seen.features(), 0, 6)
    assert torch.equal(found.features, torch.cat([features, features]))
    assert len(found.columns) == len(found.weights) == 0


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (torch.zeros(2, 4), "gives features and no columns.*TEST.DSR.ENABLED False"),
        ((torch.zeros(2, 4), torch.zeros(2, 4)), "features, columns and weights.*not tuple"),
        ({"features": torch.zeros(2, 4)}, "features, columns and weights.*not dict"),
    ],
)
def test_other_outputs_are_one_sentence(tmp_path: Path, outputs: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        collected(tmp_path).add(outputs, torch.zeros(2), torch.zeros(2))


@pytest.mark.parametrize("part", [0, 2])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_numbers_are_found_at_once(tmp_path: Path, part: int, value: float) -> None:
    outputs = batch(3, 6)
    outputs[part][1, 2] = value
    with pytest.raises(NotFiniteError):
        collected(tmp_path).add(outputs, torch.zeros(3), torch.zeros(3))


# A network's batch: large tensors are made and freed beside the small ones that are kept. They come
# from one heap, as in this project's own loops on a CPU, and elsewhere as it happens.
LOOP = """
import resource, sys
import torch
import partialreid
from fastreid.config import get_cfg
from partialreid.dsr_evaluation import DsrEvaluator
from partialreid.runtime.freed_memory import keep_freed_memory

cfg = get_cfg()
partialreid.add_partialreid_config(cfg)
cfg.MODEL.DEVICE, cfg.OUTPUT_DIR, cfg.TEST.DSR.MEMORY_GB = "cpu", sys.argv[1], 0.04
evaluator = DsrEvaluator(cfg, 10)
evaluator.reset()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
source = torch.rand(32, 1280, 70)
ids = torch.zeros(32, dtype=torch.int64)
if not keep_freed_memory():
    sys.exit(77)
before = peak()
for _ in range(80):
    columns = torch.stack(list(source)) + 1
    inputs = {"targets": ids, "camids": ids}
    evaluator.process(inputs, (columns.mean(2), columns, columns.mean(1)))
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_batches(tmp_path: Path) -> None:
    """80 batches of 11 MB, 30 MB of them to be kept; 13 MB of features are. Twenty temporary
    tensors of a batch are a generous bound, and 1.4 GB is what keeping every image by itself took.
    """
    done = subprocess.run(
        [sys.executable, "-c", LOOP, str(tmp_path)], capture_output=True, text=True
    )
    if done.returncode == 77:
        pytest.skip("the C library has no mallopt")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 30 + 13 + 20 * 11.5


def test_freed_memory_goes_back_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is kept for the network, see `freed_memory`, gaps would remain of every batch."""
    calls: list[int] = []
    monkeypatch.setattr(collected_outputs, "release_freed_memory", lambda: calls.append(1))
    seen = collected(tmp_path)
    outputs = batch(3, 6)
    of_a_batch = 4 * (3 * 4 + 3 * 5 * 6)
    monkeypatch.setattr(collected_outputs, "RELEASE_EVERY", 4 * of_a_batch)
    for _ in range(11):
        seen.add(outputs, torch.zeros(3), torch.zeros(3))
    assert len(calls) == 2
