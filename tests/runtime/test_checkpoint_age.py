"""Epoch and iteration of a checkpoint, for messages."""

from __future__ import annotations

from pathlib import Path

import torch

from partialreid.runtime.checkpoint_age import age_in_file, age_of


def test_what_a_checkpoint_says() -> None:
    assert age_of({"epoch": 3, "iteration": 404, "model": {}}) == " (epoch 3, iteration 404)"
    assert age_of({"iteration": 0}) == " (iteration 0)"
    assert age_of({"model": {}}) == ""


def test_a_file_and_what_is_none(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "good.pth")
    torch.save([3], tmp_path / "list.pth")
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint")
    assert age_in_file(str(tmp_path / "good.pth")) == " (epoch 3)"
    for name in ("list", "broken", "absent"):
        assert age_in_file(str(tmp_path / f"{name}.pth")) == ""
