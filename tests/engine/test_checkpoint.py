"""Checkpoints: what is refused and in which words, and that a write is whole or nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from partialreid.engine import checkpoint
from partialreid.engine.checkpoint import SafeCheckpointer, load_weights, read_checkpoint


def network(seed: int = 0, classes: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, classes))


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A checkpoint as the trainer writes it."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.rand(4, 4)).sum().backward()
    optimizer.step()
    SafeCheckpointer(model, str(tmp_path), optimizer=optimizer).save("model", epoch=7)
    return tmp_path / "model.pth"


def refusal(path: Path) -> str:
    """What `read_checkpoint` says about a file; the message always names it."""
    with pytest.raises(ValueError) as caught:
        read_checkpoint(str(path))
    message = str(caught.value)
    assert f'"{path}"' in message
    return message


def test_save_and_load(saved: Path) -> None:
    model = network(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    checkpointer = SafeCheckpointer(model, str(saved.parent), optimizer=optimizer)
    assert checkpointer.resume_or_load("", resume=True) == {"epoch": 7}
    assert not equal(model, network(1))
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert optimizer.state_dict()["state"][0]["step"] == 1
    assert checkpoint.last_checkpoint(str(saved.parent)) == str(saved)


def test_weights_alone_leave_the_optimizer(saved: Path) -> None:
    model = network(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    checkpointer = SafeCheckpointer(model, "", optimizer=optimizer)
    checkpointer.resume_or_load(str(saved), resume=False)
    assert not equal(model, network(1))
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_no_checkpoint_changes_nothing() -> None:
    model = network()
    assert SafeCheckpointer(model).load("") == {}
    assert equal(model, network())


def test_missing(tmp_path: Path) -> None:
    assert "is not there: correct MODEL.WEIGHTS" in refusal(tmp_path / "absent.pth")
    assert "is not there" in refusal(tmp_path)


def test_no_last_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no last_checkpoint") as caught:
        checkpoint.last_checkpoint(str(tmp_path))
    assert "OUTPUT_DIR" in str(caught.value)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.9999])
def test_truncated(saved: Path, part: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(part * len(content))])
    assert "write it again" in refusal(saved)


@pytest.mark.parametrize("text", ["<!DOCTYPE html>\n<title>404</title>", "hello", "\x80\x02"])
def test_text_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.pth").write_text(text)
    assert "write it again" in refusal(tmp_path / "model.pth")


@pytest.mark.parametrize(
    "data", [network().state_dict(), [torch.zeros(1)], torch.zeros(1), {"model": {"epoch": 3}}]
)
def test_file_of_another_kind(tmp_path: Path, data: Any) -> None:
    torch.save(data, tmp_path / "model.pth")
    message = refusal(tmp_path / "model.pth")
    assert "no state dict under the key 'model'" in message
    assert "{'model': state_dict}" in message


def test_numpy_scalar_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "foreign.pth"
    torch.save({"model": network().state_dict(), "metric": np.float64(3)}, path)
    message = refusal(path)
    assert "could run code when loaded" in message
    assert "weights_only=False)['model']" in message
    # The way out that the message describes is one.
    torch.save({"model": torch.load(path, weights_only=False)["model"]}, tmp_path / "new.pth")
    assert (
        read_checkpoint(str(tmp_path / "new.pth"))["model"].keys() == network().state_dict().keys()
    )


def test_code_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.write_text, (tmp_path / "trace", "was here")

    torch.save({"model": {}, "evil": Evil()}, tmp_path / "evil.pth")
    refusal(tmp_path / "evil.pth")
    assert not (tmp_path / "trace").exists()


def test_prefix_of_ddp_is_dropped(tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in network().state_dict().items()}
    torch.save({"model": state}, tmp_path / "model.pth")
    model = network(1)
    SafeCheckpointer(model).load(str(tmp_path / "model.pth"))
    assert equal(model, network())


def unmatched() -> dict[str, torch.Tensor]:
    """A state dict with a key too few, one too many and one of another shape."""
    state = network(0, classes=2).state_dict()
    del state["0.bias"]
    return {**state, "extra.weight": torch.zeros(1)}


def test_unmatched_keys_are_all_listed() -> None:
    model = network(1)
    with pytest.raises(ValueError) as caught:
        load_weights(model, unmatched(), "some.pth", allow_partial=False)
    message = str(caught.value)
    assert '"some.pth"' in message
    assert "in the model only: 0.bias" in message
    assert "in the checkpoint only: extra.weight" in message
    assert "2.weight (2, 5), the model has (3, 5)" in message
    assert "2.bias (2,), the model has (3,)" in message
    assert "--allow-partial" in message
    assert equal(model, network(1))


def test_allow_partial_loads_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    model, kept = network(1), network(1)
    load_weights(model, unmatched(), "some.pth", allow_partial=True)
    state, wanted = model.state_dict(), network(0, classes=2).state_dict()
    for key in ("0.bias", "2.weight", "2.bias"):
        assert torch.equal(state[key], kept.state_dict()[key]), key
        assert key in caplog.text
    for key in ("0.weight", "1.weight", "1.running_var"):
        assert torch.equal(state[key], wanted[key]), key
    assert not torch.equal(state["0.weight"], kept.state_dict()["0.weight"])


def test_nothing_in_common_is_refused_even_in_part() -> None:
    with pytest.raises(ValueError, match="shares no parameter"):
        load_weights(network(), {"backbone.weight": torch.zeros(1)}, "x.pth", allow_partial=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["model", "model_0008"])
def test_full_disk_leaves_everything_as_it_was(
    saved: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The file behind torch.save takes 1000 bytes; torch then raises an error of its own."""

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() + len(data) > 1000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    before = contents(saved.parent)
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", lambda path, mode: Full(path, mode))
        with pytest.raises(OSError) as caught:
            SafeCheckpointer(network(1), str(saved.parent)).save(name, epoch=8)
    assert str(caught.value) == (
        f'"{saved.parent / name}.pth" cannot be written (No space left on device); no part of it '
        "is left, and an earlier one stays: make room there, or choose another folder."
    )
    assert contents(saved.parent) == before
    assert set(before) == {"model.pth", "last_checkpoint"}


def test_untagged_save_is_not_continued_from(saved: Path) -> None:
    SafeCheckpointer(network(1), str(saved.parent)).save("model_best", tag=False, best_metric=1.0)
    assert read_checkpoint(str(saved.parent / "model_best.pth"))["best_metric"] == 1.0
    assert (saved.parent / "last_checkpoint").read_text() == "model.pth"
    SafeCheckpointer(network(1), str(saved.parent)).save("model_0008", epoch=8)
    assert (saved.parent / "last_checkpoint").read_text() == "model_0008.pth"


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    SafeCheckpointer(network(), str(tmp_path), save_to_disk=False).save("model")
    assert list(tmp_path.iterdir()) == []


def test_classes_in() -> None:
    assert checkpoint.classes_in({"heads.weight": torch.zeros(751, 8)}) == 751
    assert checkpoint.classes_in({"backbone.weight": torch.zeros(2, 2)}) == 0
