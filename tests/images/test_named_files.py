"""Whom an image shows, and from which camera, by its name and that of its sub-folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from partialreid.images.named_files import named_images


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("name", "identity", "camera"),
    [
        ("anna_c1_05.jpg", "anna", 1),
        ("anna_c12.png", "anna", 12),
        ("anna_5.jpg", "anna", None),
        ("anna.JPG", "anna", None),
        ("0002_c1s1_000451_03.jpg", "0002", 1),
        ("0002_c02_f0046182.jpg", "0002", 2),
        ("Anna Maria_c3_a b.jpg", "Anna Maria", 3),
        ("王-1_c2_1.jpg", "王-1", 2),
        ("-1_c3_1.jpg", "-1", 3),
        ("0002_C1S1_000451_03.JPG", "0002", 1),
        ("anna_cam2_5.jpg", "anna", 2),
        ("anna_Camera10.jpg", "anna", 10),
        ("anna/x_Cam3.png", "anna", 3),
        # No cameras: text that only looks like one.
        ("anna_c1x_1.jpg", "anna", None),
        ("anna_cut_1.jpg", "anna", None),
        ("anna_came2_1.jpg", "anna", None),
        ("c5_1.jpg", "c5", None),
        # In sub-folders the name says the camera alone, wherever it stands.
        ("anna/1.jpg", "anna", None),
        ("anna_maria/c4_1.jpg", "anna_maria", 4),
        ("anna_maria/bob_5_c4.jpg", "anna_maria", 4),
        ("anna/monday/c2s3_1.jpg", "anna", 2),
        ("_/c.jpg", "_", None),
    ],
)
def test_names(tmp_path: Path, name: str, identity: str, camera: int | None) -> None:
    assert named_images(str(put(tmp_path, name))) == [(str(tmp_path / name), identity, camera)]


def test_two_spellings_of_one_name_are_one_person(tmp_path: Path) -> None:
    """macOS stores an é as e and an accent."""
    names = ("Zoe\u0301_1.jpg", "Zo\u00e9_2.jpg", "Zoe\u0301/3.jpg")
    found = named_images(str(put(tmp_path, *names)))
    assert [identity for _, identity, _ in found] == ["Zo\u00e9"] * 3
    assert all(Path(path).is_file() for path, *_ in found)


@pytest.mark.parametrize("name", ["_1.jpg", "__c1_2.png"])
def test_a_name_without_identity(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"no identity in the file name of .*/{name}.* sub-folder"):
        named_images(str(put(tmp_path, "anna_1.jpg", name)))


@pytest.mark.parametrize("name", ["anna_maria_c1_5.jpg", "anna_5_c1.jpg", "anna_5_Cam1.jpg"])
def test_a_camera_where_it_is_not_looked_for(tmp_path: Path, name: str) -> None:
    """Read as no camera, all people named Anna would become one."""
    with pytest.raises(ValueError, match=f"the camera .*/{name}.* does not follow the identity"):
        named_images(str(put(tmp_path, name)))


def test_a_name_in_another_encoding(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"Zo\xe9_1.jpg")).touch()
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    with pytest.raises(ValueError, match=r'Zo\\udce9_1\.jpg" is not UTF-8.*rename it') as caught:
        named_images(str(tmp_path))
    str(caught.value).encode()
