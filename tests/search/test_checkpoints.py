"""PartialReID on a checkpoint: the model that `partialreid export` would make of it."""

from __future__ import annotations

import shutil
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from partialreid.commands import export, index, search
from partialreid.engine.checkpoint import read_checkpoint
from partialreid.engine.configuration import setup_config
from partialreid.search.partial_reid import PartialReID

CPU = ("MODEL.DEVICE", "cpu")


def old_checkpoint(model_file: Path, folder: Path) -> Path:
    """A checkpoint without its config, which lies beside it as the training has written it."""
    run = model_file.parent / "run"
    folder.mkdir()
    torch.save({"model": read_checkpoint(str(run / "model_final.pth"))["model"]}, folder / "x.pth")
    shutil.copy(run / "config.yaml", folder)
    return folder / "x.pth"


@pytest.mark.parametrize("old", [False, True], ids=["holds its config", "config beside it"])
def test_it_is_its_model_file(old: bool, model_file: Path, crops: Path, tmp_path: Path) -> None:
    path = model_file.parent / "run" / "model_final.pth"
    if old:
        path = old_checkpoint(model_file, tmp_path / "old")
    ours, theirs = (PartialReID.load(one, *CPU) for one in (path, model_file))
    query = str(next(crops.iterdir()))
    found, wanted = (one.search(query, one.gallery(crops)) for one in (ours, theirs))
    assert [m.distances for m in found] == [m.distances for m in wanted]
    assert found.record["model"] == path.name and ours.calibration is None
    # An index by either is an index by the other, though one has classifiers.
    into = str(tmp_path / "crops.index")
    ours.index(crops, into).close()
    with theirs.open(into) as kept:
        assert len(kept) == 4


def test_the_commands_take_it(
    model_file: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = old_checkpoint(model_file, tmp_path / "old")
    keys = ["--model", str(path), "--set", *CPU]
    into, out = str(tmp_path / "crops.index"), tmp_path / "answer"
    assert index.main([str(crops), "--into", into, *keys]) == 0
    words = [str(next(crops.iterdir())), "--gallery", into, "--out", str(out), *keys]
    assert search.main(words) == 0
    assert (out / "index.html").is_file()
    assert "4 pictures" in capsys.readouterr().out


def test_the_original_s_with_a_config_beside_it(
    original_checkpoint: Path, crops: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    path = tmp_path / "theirs" / "model.pth"
    path.symlink_to(original_checkpoint)
    with pytest.raises(ValueError, match=r"no config\.yaml beside it: put it there, or give"):
        PartialReID.load(path)
    cfg = setup_config(Namespace(config_file="market_mobilenetv2.yml", opts=[]))
    (path.parent / "config.yaml").write_text(cfg.dump())
    model = PartialReID.load(path, *CPU)
    files = sorted(map(str, crops.iterdir()))
    answer = model.search(files[1], model.gallery(files), k=1)
    assert answer[0].path == files[1] and abs(answer[0].distance) < 0.02
    exported = str(tmp_path / "theirs.safetensors")
    assert export.main([str(path), exported]) == 0
    again = PartialReID.load(exported, *CPU)
    for ours, theirs in zip(model.embed(files[0]), again.embed(files[0]), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
