"""A tiny trained model file, and drawn people as own pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from partialreid.commands.export import main
from partialreid.search.partial_reid import PartialReID
from tests import tiny


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a tiny network; beside it the data root that it was trained on."""
    folder = tmp_path_factory.mktemp("model")
    options = {"SOLVER__MAX_EPOCH": 1, "TEST__EVAL_PERIOD": 0, "INPUT__KEEP_RATIO": "fit"}
    tiny.run(folder / "data", folder / "run", **options)
    assert main([str(folder / "run" / "model_final.pth"), str(folder / "model.safetensors")]) == 0
    return folder / "model.safetensors"


@pytest.fixture
def model(model_file: Path) -> PartialReID:
    return PartialReID.load(model_file, "MODEL.DEVICE", "cpu")


@pytest.fixture
def crops(model_file: Path, tmp_path: Path) -> Path:
    """A folder of four drawn people, alone in its own."""
    (tmp_path / "crops").mkdir()
    for person in sorted(next((model_file.parent / "data").glob("*/gallery")).iterdir())[:4]:
        shutil.copy(person, tmp_path / "crops")
    return tmp_path / "crops"
