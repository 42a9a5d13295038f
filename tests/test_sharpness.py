"""benchmarks/sharpness.py: how much of a feature is left of a smaller image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from benchmarks import bench, sharpness
from partialreid.search.extraction import Embedded
from tests.search.conftest import model_file  # noqa: F401


class ByWidth:
    """A network whose feature says who it is, and turns away by 60 degrees in small images.

    The second of three persons is taken for the third one then.
    """

    def embed(self, images: list[Any]) -> Embedded:
        features = []
        for image in images:
            person, small = image.getpixel((0, 0))[0], image.width < 6
            feature = torch.zeros(4)
            feature[person] = 0.5 if small else 1.0
            if small:
                feature[2 if person == 1 else 3] = 0.75**0.5
            features.append(feature)
        return Embedded(torch.stack(features), [], [])


def test_cosines_and_who_is_nearest() -> None:
    images = [Image.new("RGB", (8, 16), (person, 0, 0)) for person in range(3)]
    row = sharpness.measure("by width", ByWidth(), images, (0.75, 0.5))  # type: ignore[arg-type]
    assert row == {
        "network": "by width",
        "0.75 of each side": "1.00 (100 %)",
        "0.5 of each side": "0.50 (67 %)",
    }


@pytest.mark.slow
def test_the_program(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_file: Path,  # noqa: F811
) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    keys = ["DATASETS.ROOT", str(model_file.parent / "data"), "MODEL.DEVICE", "cpu"]
    names = ["--train-set", "SyntheticPartial", "--images", "6"]
    sharpness.main([f"tiny={model_file}", *names, "--keys", *keys])
    (row,) = json.loads((tmp_path / "sharpness.json").read_text())["rows"]
    assert row.pop("network") == "tiny" and len(row) == len(sharpness.SHARES)


@pytest.mark.parametrize(
    "networks", (["logs/mine.pth"], ["=logs/mine.pth"], ["mine="], ["one=a.pth", "one=b.pth"])
)
def test_each_network_has_a_name_and_a_file(networks: list[str]) -> None:
    """Without a file the released model would be measured, under the name of another."""
    with pytest.raises(SystemExit) as caught:
        sharpness.main(networks)
    assert caught.value.code == 2


def test_an_absent_file_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        sharpness.main(["mine=absent.pth"])
    assert caught.value.code == 2 and "absent.pth" in capsys.readouterr().err
