"""Lists of images: order and reading."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.images.lists import list_images, sort_items
from partialreid.images.reading import check_images, read_image


def noise(mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 12, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def test_images_of_all_folders_by_name(tmp_path: Path) -> None:
    for name in ("b/003_1.TIF", "a/004_1.Bmp", "002_1.jpeg", "z/001_1.JPG", "005_1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("._001_1.jpg", "Thumbs.db", "readme.txt", "._006_1.gif"):
        (tmp_path / name).touch()
    found = [Path(path).relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["z/001_1.JPG", "002_1.jpeg", "b/003_1.TIF", "a/004_1.Bmp", "005_1.png"]


def test_hidden_folders_and_links(tmp_path: Path) -> None:
    """Notebooks and file managers keep copies in hidden folders; a link is a folder like others."""
    for name in ("set/a/1.jpg", "set/.ipynb_checkpoints/1-checkpoint.jpg", "elsewhere/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "set" / "b").symlink_to(tmp_path / "elsewhere")
    found = [Path(path).relative_to(tmp_path).as_posix() for path in list_images(tmp_path / "set")]
    assert found == ["set/a/1.jpg", "set/b/2.jpg"]


@pytest.mark.parametrize("target", ["set/a", "set", "."])
def test_a_link_to_what_is_listed_already(tmp_path: Path, target: str) -> None:
    """Its images would count twice, or without end."""
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "1.jpg").touch()
    (tmp_path / "set" / "again").symlink_to(tmp_path / target)
    with pytest.raises(ValueError, match=r"is another folder in .* once more: remove the link"):
        list_images(tmp_path / "set")


def test_absent_folder_is_no_empty_list(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        list_images(tmp_path / "absent")


def test_sort_items_by_path_whatever_the_types() -> None:
    items = [("b.jpg", "market_2", "c"), ("a.jpg", 10, 0), ("c.jpg", 1, 0)]
    assert [path for path, *_ in sort_items(items)] == ["a.jpg", "b.jpg", "c.jpg"]
    assert items[0][0] == "b.jpg"


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1"])
def test_read_image_has_three_channels(tmp_path: Path, mode: str) -> None:
    image = noise(mode)
    image.save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(read), np.asarray(image.convert("RGB")))


def damage(folder: Path) -> dict[str, str]:
    """Broken files of each kind: name -> path."""
    for name in ("cut.jpg", "cut.png", "cut.tif", "cut.bmp"):
        noise().save(folder / name)
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) * 3 // 4])
    (folder / "text.jpg").write_text("not an image")
    (folder / "empty.jpg").touch()
    names = ("cut.jpg", "cut.png", "cut.tif", "cut.bmp", "text.jpg", "empty.jpg", "absent.jpg")
    return {name: str(folder / name) for name in names}


def test_read_image_names_the_broken_file(tmp_path: Path) -> None:
    for name, path in damage(tmp_path).items():
        with pytest.raises(OSError, match="cannot read the image") as error:
            read_image(path)
        assert f'"{path}": ' in str(error.value), name


def test_check_images_counts_and_names_the_broken(tmp_path: Path) -> None:
    noise().save(tmp_path / "good.jpg")
    good = (str(tmp_path / "good.jpg"), 1, 0)
    check_images([good] * 3)
    bad = [(path, 1, 0) for path in damage(tmp_path).values()]
    with pytest.raises(OSError) as error:
        check_images([good, *bad, good])
    message = str(error.value)
    assert message.startswith("7 of 9 images cannot be read")
    assert all(path in message for path, *_ in bad[:5])
    assert "and 2 more" in message
    assert good[0] not in message


class _Reader(torch.utils.data.Dataset):
    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> int:
        return read_image(self.paths[index]).height


def test_worker_of_a_loader_names_the_broken_file(tmp_path: Path) -> None:
    noise().save(tmp_path / "good.jpg")
    (tmp_path / "broken.jpg").write_text("not an image")
    paths = [os.fspath(tmp_path / name) for name in ("good.jpg", "broken.jpg")]
    batches = iter(torch.utils.data.DataLoader(_Reader(paths), num_workers=1))
    assert next(batches).tolist() == [24]
    with pytest.raises(OSError, match=r"broken\.jpg"):
        next(batches)
    # left to the garbage collector, which the traceback delays, it takes five seconds
    batches._shutdown_workers()


def test_images_that_are_not_read_are_refused(tmp_path: Path) -> None:
    for name in ("001_1.jpg", "002_1.jxl", "003_1.HEIC"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"2 images.*does not read: .*002_1\.jxl.*003_1\.HEIC"):
        list_images(tmp_path)
    # Who looks at each of them can say of each what is wrong.
    found = list_images(tmp_path, with_unread=True)
    assert [Path(path).name for path in found] == ["001_1.jpg", "002_1.jxl", "003_1.HEIC"]


@pytest.mark.parametrize(
    "ending",
    ["gif", "jp2", "avif", "ppm", "pgm", "tga", "jfif", "jpe", "apng", "ico", "pcx", "dds", "qoi"],
)
def test_what_pillow_reads_is_an_image(tmp_path: Path, ending: str) -> None:
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / f"a.{ending.upper()}"
    image = noise("L" if ending == "pgm" else "RGB")
    image.save(path, {"apng": "PNG", "jpe": "JPEG"}.get(ending))
    assert list_images(tmp_path / "set") == [str(path)]
    assert read_image(path).mode == "RGB"


def test_an_image_without_an_ending_is_known_by_its_content(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise().save(tmp_path / "0001", "PNG")
    (tmp_path / "README").write_text("no image")
    (tmp_path / "absent").symlink_to(tmp_path / "nowhere")
    assert list_images(tmp_path) == [str(tmp_path / "0001")]
    assert caplog.messages[0].endswith(': 2 ("README", "absent")')


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise().save(tmp_path / "a.png")
    assert len(list_images(tmp_path)) == 1 and not caplog.text
    names = ("sub/note.txt", "Thumbs.db", ".DS_Store", "list.csv", "film.mpg", "x.h5", ".git/b.png")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert len(list_images(tmp_path)) == 1
    (said,) = caplog.messages
    assert said.startswith(f'left out of "{tmp_path}", as no images by their names: 7 (')
    assert said.endswith('".DS_Store", ".git", "Thumbs.db", "film.mpg", "list.csv" and 2 more)')


def test_a_pipe_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Opened, it waits for ever for somebody who writes."""
    (tmp_path / "1.jpg").touch()
    for name in ("pipe", "2.jpg"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "3.jpg").symlink_to("2.jpg")
    (tmp_path / "4.jpg").symlink_to("nowhere.jpg")  # whoever reads it says that it is not there
    assert list_images(tmp_path) == [str(tmp_path / "1.jpg"), str(tmp_path / "4.jpg")]
    assert '3 ("2.jpg", "3.jpg", "pipe")' in caplog.text


def test_a_folder_that_is_shut_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shut").mkdir()
    scandir = os.scandir

    def refuse(path: str):
        if str(path).endswith("shut"):  # as to a user who is not root
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match=r'"/.*/shut" may not be opened by this user: have'):
        list_images(tmp_path)
