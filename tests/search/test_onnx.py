"""PartialReID on a file of ONNX: the same calls, and an index that knows which file made it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.search.calibration import Calibration, Logistic
from partialreid.search.partial_reid import PartialReID
from tests import made_onnx


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """A folder of three pictures of one colour."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for name, colour in {"red": (200, 20, 20), "green": (20, 200, 20), "dark": (9, 5, 5)}.items():
        Image.new("RGB", (20, 40), colour).save(folder / f"{name}.png")
    return folder


def test_it_searches_with_it(crops: Path, tmp_path: Path, make_config: Callable[..., Any]) -> None:
    line = Logistic(0.5, -2.0, 1.0)
    learnt = Calibration("global", line, line, line, line, "nobody")
    cfg = make_config("INPUT.SIZE_TEST", [32, 16], "TEST.DSR.DISTANCE", "global")
    texts = made_onnx.metadata(cfg, calibration=learnt.as_plain())
    made_onnx.write(tmp_path / "model.onnx", texts)
    model = PartialReID.load(tmp_path / "model.onnx")
    assert model.calibration == learnt
    assert model.extractor.device == torch.device("cpu")
    query = np.full((30, 20, 3), (180, 10, 10), np.uint8)
    # Its feature is the mean colour.
    near = torch.nn.functional.normalize(torch.tensor([[180.0, 10, 10], [200, 20, 20]]))
    with model.index(crops, str(tmp_path / "crops.index")) as index:
        for gallery in (model.gallery(crops), index):
            answer = model.search(query, gallery)
            assert [Path(match.path).stem for match in answer] == ["red", "dark", "green"]
            assert answer[0].distances["global"] == pytest.approx(
                1 - float(near[0] @ near[1]), abs=1e-6
            )


def test_an_index_of_another_file_is_refused(
    crops: Path, tmp_path: Path, make_config: Callable[..., Any]
) -> None:
    texts = made_onnx.metadata(make_config("INPUT.SIZE_TEST", [32, 16]))
    made_onnx.write(tmp_path / "model.onnx", texts)
    made_onnx.write(tmp_path / "same.onnx", texts)
    made_onnx.write(tmp_path / "other.onnx", {**texts, "more": "text"})
    into = str(tmp_path / "crops.index")
    PartialReID.load(tmp_path / "model.onnx").index(crops, into).close()
    PartialReID.load(tmp_path / "same.onnx").open(into).close()
    with pytest.raises(ValueError, match="made by another model"):
        PartialReID.load(tmp_path / "other.onnx").open(into)
