"""benchmarks/two_bytes.py: how far columns move where weights are rounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import bench, two_bytes
from tests.search.conftest import crops, model_file  # noqa: F401


def test_tensors_beyond_a_size_are_rounded_alone() -> None:
    state = {"small": torch.rand(3), "large": torch.rand(2, 3), "count": torch.tensor(7)}
    found = two_bytes.rounded(state, two_bytes.float16, 3)
    assert found["small"] is state["small"] and found["count"] is state["count"]
    assert torch.equal(found["large"], state["large"].half().float())


def test_how_far_is_in_millionths_of_the_length() -> None:
    columns = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert two_bytes.moved(columns + torch.tensor([[3e-4, 0.0], [0.0, 4e-4]]), columns) == 100


def test_one_scale_is_that_of_the_largest_weight_of_all() -> None:
    value = torch.tensor([[1.0, 0.5], [1e-6, 2e-6]])
    assert two_bytes.one_scale(value)[1].tolist() == [0.0, 0.0]
    assert two_bytes.by_channel(value)[1].tolist() == pytest.approx([1e-6, 2e-6], rel=1e-4)


@pytest.mark.slow
def test_the_program(
    model_file: Path,  # noqa: F811
    crops: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    two_bytes.main([str(model_file), str(crops), "--images", "3", "--keys", "MODEL.DEVICE", "cpu"])
    record = json.loads((tmp_path / "two_bytes.json").read_text())
    moved = {row["weights"]: row["columns move by"] for row in record["rows"]}
    assert list(moved) == list(two_bytes.ROUNDINGS)
    # Each way is nearer to the weights than the one before it.
    assert list(moved.values()) == sorted(moved.values(), reverse=True)
    assert 0 < moved["whole numbers, one scale for each output channel"] < moved["in float16"] / 4
