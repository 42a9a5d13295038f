"""The list of people who are looked for among images of the camera that took them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks import validation
from benchmarks.same_camera import first_and_last, main
from partialreid.data.checked_lists import checked_lists
from tests import tiny


def draw_people(folder: Path) -> None:
    """Two people, three images by each camera; one more was taken once by the second."""
    for person in (12, 31):
        for camera, part in ((1, "query"), (2, "gallery")):
            for number in range(3):
                tiny.draw(folder / part / f"{person:04d}_c{camera}_{number:02d}.jpg", person)
    tiny.draw(folder / "gallery" / "0044_c2_00.jpg", 44)


def test_first_and_last_image_by_each_camera() -> None:
    images = [
        ("q/1_c1_05", "1", 1), ("q/1_c1_04", "1", 1), ("q/1_c1_06", "1", 1),
        ("g/1_c2_08", "1", 2), ("g/1_c2_09", "1", 2), ("g/2_c2_01", "2", 2),
    ]  # fmt: skip
    assert first_and_last(images) == [
        ("q/1_c1_04", "1", "query"), ("q/1_c1_06", "1", "gallery"),
        ("g/1_c2_08", "1", "query"), ("g/1_c2_09", "1", "gallery"),
    ]  # fmt: skip


def test_all_gallery_images_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those by a query's own camera, which a set with cameras would leave out."""
    draw_people(tmp_path / "CUHK03-val")
    listed = tmp_path / "logs" / "same_camera.csv"
    assert main([str(tmp_path / "CUHK03-val"), str(listed)]) == 0
    monkeypatch.setattr(validation, "SAME_CAMERA_FILE", listed)
    args = argparse.Namespace(config_file=tiny.CONFIG, weights="m.pth")
    args.opts = ["DATASETS.ROOT", str(tmp_path), "MODEL.DEVICE", "cpu"]
    cfg = validation.config_of(args, validation.ValidationSet("same camera", f"folder:{listed}"))
    _, query, gallery = checked_lists(cfg, *cfg.DATASETS.TESTS)
    names = [sorted(Path(path).name for path, *_ in part) for part in (query, gallery)]
    assert names[0] == [
        "0012_c1_00.jpg", "0012_c2_00.jpg", "0031_c1_00.jpg", "0031_c2_00.jpg"
    ]  # fmt: skip
    assert names[1] == [name.replace("_00", "_02") for name in names[0]]
    assert {camera for *_, camera in query}.isdisjoint(camera for *_, camera in gallery)


def test_an_error_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.draw(tmp_path / "people" / "query" / "1_c1_00.jpg", 1)
    tiny.draw(tmp_path / "people" / "gallery" / "1_c2_00.jpg", 1)
    listed = tmp_path / "list.csv"
    for folder, said in (("people", "no person was taken twice"), ("absent", "absent")):
        with pytest.raises(SystemExit) as caught:
            main([str(tmp_path / folder), str(listed)])
        assert caught.value.code == 2 and said in capsys.readouterr().err
    assert not listed.exists()


def test_an_image_of_no_camera_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them would be those of one camera."""
    draw_people(tmp_path / "people")
    tiny.draw(tmp_path / "people" / "gallery" / "0012_03.jpg", 12)
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "people"), str(tmp_path / "list.csv")])
    said = f'the file name of "{tmp_path}/people/gallery/0012_03.jpg" says no camera: name it'
    assert caught.value.code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "list.csv").exists()
