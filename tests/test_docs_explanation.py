"""The examples of docs/explanation.md run, the first with an untrained network of the demo."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastreid.modeling.meta_arch import build_model
from PIL import Image

from partialreid.synthetic.images import cut_query, whole_image
from tests.paths import ROOT

TEXT = (ROOT / "docs" / "explanation.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_picture_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_config: Callable[..., Any]
) -> None:
    cfg = make_config("MODEL.HEADS.NUM_CLASSES", 2)
    cfg.merge_from_file(str(ROOT / "projects/PartialReID/configs/demo.yml"))
    (tmp_path / "logs/demo").mkdir(parents=True)
    torch.save({"model": build_model(cfg).state_dict()}, tmp_path / "logs/demo/model_final.pth")
    (tmp_path / "projects").symlink_to(ROOT / "projects")
    folder = tmp_path / re.findall(r'Path\("(datasets/.*?)"\)', BLOCKS[0])[0]
    # Cameras and shots are counted from 0 here, and from 1 in names.
    pictures = {"0104_c6_02.png": ("query", cut_query(0, 104, 5, 1).image)}
    pictures["0104_c5_01.png"] = ("gallery", whole_image(0, 104, 4, 0))
    pictures["0103_c6_01.png"] = ("gallery", whole_image(0, 103, 5, 0))
    for name, (part, pixels) in pictures.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / part / name)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(BLOCKS[0], names)
    drawn, shown = (Image.open(path) for path in ("explanation.jpg", ROOT / "docs/explanation.jpg"))
    assert drawn.size == shown.size
    # The three pictures are the ones that the page shows, whatever the network sees in them.
    query = slice(140, 500), slice(20, 220)
    ours, theirs = (np.asarray(one.convert("RGB"), dtype=float)[query] for one in (drawn, shown))
    assert np.abs(ours - theirs).mean() < 6


def test_the_parts_are_printed() -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(BLOCKS[1], {})
    match = re.fullmatch(r"(\d\.\d{4}) = \1 (.*)\n", said.getvalue())
    assert match and match[2] == "torch.Size([30]) torch.Size([70, 30])"
