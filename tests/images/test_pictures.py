"""Pictures of all kinds come out as the same 8-bit RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.images.pictures import picture_name, rgb_of
from partialreid.images.reading import ImageError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def test_a_file_an_image_an_array_and_a_tensor_are_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    alpha = np.dstack([PIXELS, np.full((5, 4), 7, np.uint8)])
    pictures = [path, str(path), Image.fromarray(PIXELS), PIXELS, alpha, alpha[:, ::-1][:, ::-1]]
    pictures.append(torch.from_numpy(PIXELS).permute(2, 0, 1))
    for picture in pictures:
        assert np.array_equal(np.asarray(rgb_of(picture)), PIXELS)
    assert [picture_name(picture) for picture in pictures[:3]] == [str(path), str(path), ""]


def test_grey_pictures_have_three_equal_channels() -> None:
    grey = PIXELS[:, :, 0]
    deep = Image.fromarray(grey.astype(np.uint16) << 8)
    for picture in (grey, grey[:, :, None], torch.from_numpy(grey), Image.fromarray(grey), deep):
        assert np.array_equal(np.asarray(rgb_of(picture)), np.dstack([grey] * 3))


@pytest.mark.parametrize("mode", ["CMYK", "P", "LA", "1", "RGBA", "YCbCr"])
def test_an_image_of_any_mode(mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    assert np.array_equal(np.asarray(rgb_of(image)), np.asarray(image.convert("RGB")))


def test_an_image_lies_as_its_exif_says() -> None:
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = 6  # turned a quarter to the right when it is shown
    assert np.array_equal(np.asarray(rgb_of(image)), np.rot90(PIXELS, -1))


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (PIXELS / 255, "an array (5, 4, 3) of float64"),
        (torch.rand(3, 5, 4), "a tensor (3, 5, 4) of float32"),
        (torch.rand(3, 5, 4).bfloat16(), "a tensor (3, 5, 4) of bfloat16"),
        (PIXELS[:, :, :2], "an array (5, 4, 2) is no picture"),
        (torch.from_numpy(PIXELS), "a tensor (5, 4, 3) is no picture"),
        (PIXELS[None], "an array (1, 5, 4, 3) is no picture"),
        (PIXELS[:0], "an array (0, 4, 3) has no pixels"),
        (Image.new("RGB", (0, 3)), "0 x 3 pixels"),
        (Image.new("F", (2, 2)), "floating-point"),
    ],
)
def test_what_is_no_picture_is_refused(picture: object, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        rgb_of(picture)
    assert said in str(caught.value)


def test_other_things_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not dict"):
        rgb_of({})
    with pytest.raises(ImageError, match=r"absent\.jpg"):
        rgb_of(tmp_path / "absent.jpg")
