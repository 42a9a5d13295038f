"""Files of every depth and kind come out as 8-bit RGB; what has no known range is refused."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastreid.data import data_utils
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset

from partialreid.data.size_batches import image_size
from partialreid.images.reading import ImageError, MaskError, as_rgb, check_images, read_image
from partialreid.index.stamps import stamp_of
from partialreid.runtime.errors import sentence

# Every grey value that 8 bits have, as 16 bits: 0, 257, ... 65535.
DEEP = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
ORIENTATION = 0x0112


def grey_of(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.mode == "RGB"
    pixels = np.asarray(image)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def tiff(path: Path, bits: int, rows: np.ndarray, photometric: int, order: str) -> None:
    """A bare TIFF of one grey strip: width, height, bits, photometric and where the strip lies."""
    height, width = rows.shape[0], rows.shape[1] * 8 * rows.itemsize // bits
    tags = ((256, width), (257, height), (258, bits), (259, 1), (262, photometric))
    tags += ((273, 8), (277, 1), (278, height), (279, rows.nbytes))
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + rows.nbytes)
    directory = struct.pack(order + "H", len(tags))
    for tag, value in tags:
        directory += struct.pack(order + "HHII", tag, 4, 1, value)
    path.write_bytes(header + rows.tobytes() + directory + b"\0" * 4)


def test_an_image_above_the_limit_of_pillow(tmp_path: Path, monkeypatch) -> None:
    Image.new("1", (2001, 1000)).save(tmp_path / "a.png")
    read_image(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "a.png")
    wanted = "it has more than 2 million pixels, which is all that Pillow reads. Replace the file"
    assert wanted in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_grey_is_scaled(tmp_path: Path, suffix: str) -> None:
    """FastReID reads all but the darkest 256 of the 65,536 values as white."""
    path = tmp_path / f"a.{suffix}"
    assert cv2.imwrite(str(path), DEEP)
    stock = np.asarray(data_utils.read_image(str(path), format="RGB"))
    assert (stock == 255).mean() > 0.99
    np.testing.assert_array_equal(grey_of(path), GREY)
    assert image_size(str(path)) == (16, 16)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_tiff_of_either_byte_order(tmp_path: Path, order: str) -> None:
    tiff(tmp_path / "a.tif", 16, DEEP.astype(order + "u2"), 1, order)
    np.testing.assert_array_equal(grey_of(tmp_path / "a.tif"), GREY)


def test_16_bit_tiff_whose_white_is_zero(tmp_path: Path) -> None:
    tiff(tmp_path / "a.tif", 16, DEEP.astype("<u2"), 0, "<")
    np.testing.assert_array_equal(grey_of(tmp_path / "a.tif"), 255 - GREY)


def test_12_bit_tiff(tmp_path: Path) -> None:
    # Two pixels in three bytes: 0x000 and 0xfff, then 0x800 and 0x7f0.
    rows = np.frombuffer(bytes.fromhex("000fff8007f0"), np.uint8).reshape(1, 6)
    tiff(tmp_path / "a.tif", 12, rows, 1, "<")
    assert grey_of(tmp_path / "a.tif").tolist() == [[0, 255, 128, 127]]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_and_colour_of_16_bits_are_equal(tmp_path: Path, suffix: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (9, 7), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / f"grey.{suffix}"), deep)
    cv2.imwrite(str(tmp_path / f"colour.{suffix}"), np.stack([deep] * 3, -1))
    expected = (deep // 256).astype(np.uint8)
    for name in ("grey", "colour"):
        np.testing.assert_array_equal(grey_of(tmp_path / f"{name}.{suffix}"), expected)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_16_bit_image_is_turned(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(DEEP[:5]).save(path, exif=exif)
    turns = {1: 0, 3: 2, 6: 3}[orientation]
    np.testing.assert_array_equal(grey_of(path), np.rot90(GREY[:5], turns))
    assert image_size(str(path)) == grey_of(path).shape


def exif_of(*entries: tuple[int, int, int, bytes]) -> bytes:
    """EXIF as a camera may write it: tag, type, count and value of each entry."""
    body = struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack("<HHI", tag, kind, count) + value
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + body + bytes(36)


ON_ITS_SIDE = (ORIENTATION, 3, 1, struct.pack("<HH", 6, 0))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    "odd",
    [(0x11A, 2, 4, b"72\0\0"), (0x13B, 12, 1, struct.pack("<I", 38)),
     (0x102, 3, 1, struct.pack("<HH", 70, 0)), (0x8769, 2, 1, b"a\0\0\0")],
    ids=["resolution in ASCII", "artist a double", "bits", "pointer in ASCII"],
)  # fmt: skip
def test_an_odd_tag_beside_the_orientation_does_not_matter(
    tmp_path: Path, suffix: str, odd: tuple[int, int, int, bytes]
) -> None:
    """Pillow, which writes the EXIF anew, leaves some of these people on their side."""
    path = tmp_path / f"a.{suffix}"
    exif = exif_of(*sorted((ON_ITS_SIDE, odd)))
    Image.new("RGB", (40, 20)).save(path, exif=exif)
    assert read_image(path).size == (20, 40) and image_size(str(path)) == (40, 20)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_in_disorder_leaves_an_image_as_it_lies(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (40, 20)).save(path, exif=b"Exif\0\0garbagegarbage")
    assert read_image(path).size == (40, 20) and image_size(str(path)) == (20, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_pillows(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (24, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    upright = read_image(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as stored:
        np.testing.assert_array_equal(upright, ImageOps.exif_transpose(stored))
    assert image_size(str(tmp_path / "a.png")) == (upright.height, upright.width)
    # Read from memory it stays as it is.
    np.testing.assert_array_equal(as_rgb(upright), upright)


@pytest.mark.parametrize(
    ("mode", "dtype", "words"),
    [("I", np.int32, "32-bit integers"), ("F", np.float32, "floating-point numbers")],
)
def test_numbers_of_unknown_range_are_refused(
    tmp_path: Path, mode: str, dtype: type, words: str
) -> None:
    path = tmp_path / "a.tif"
    image = Image.fromarray((np.linspace(0, 1, 256) * 1000).reshape(16, 16).astype(dtype))
    assert image.mode == mode
    image.save(path)
    with pytest.raises(ImageError, match=rf"a\.tif.*{words}.*save it with 8 or 16 bits") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_alpha_is_dropped(tmp_path: Path) -> None:
    """Of a transparent pixel the stored colour counts, as FastReID's and OpenCV's readers do."""
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[...] = (200, 100, 50, 0)
    pixels[0, :, 3] = (255, 128, 1)
    for suffix in ("png", "tif", "webp"):
        options = {"lossless": True, "exact": True} if suffix == "webp" else {}
        Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", **options)
        read = np.asarray(read_image(tmp_path / f"a.{suffix}"))
        np.testing.assert_array_equal(read, pixels[..., :3])
    Image.fromarray(GREY).convert("LA").save(tmp_path / "la.png")
    np.testing.assert_array_equal(grey_of(tmp_path / "la.png"), GREY)


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    for name, transparency in (("one", 1), ("each", bytes([0, 128]))):
        image.save(tmp_path / f"{name}.png", transparency=transparency)
        read = read_image(tmp_path / f"{name}.png")
        assert np.asarray(read).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    image.convert("PA").save(tmp_path / "pa.tif")
    assert np.asarray(read_image(tmp_path / "pa.tif")).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_cmyk(tmp_path: Path) -> None:
    """A print colour: no cyan, half magenta, full yellow, no black is orange."""
    Image.new("CMYK", (16, 16), (0, 128, 255, 0)).save(tmp_path / "a.tif")
    Image.new("CMYK", (16, 16), (0, 128, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    for name in ("a.tif", "a.jpg"):
        read = np.asarray(read_image(tmp_path / name)).astype(int)
        assert abs(read - (255, 127, 0)).max() <= 3


def test_black_and_white(tmp_path: Path) -> None:
    bits = np.indices((9, 11)).sum(0) % 2 == 0
    for suffix in ("png", "tif", "bmp"):
        Image.fromarray(bits).save(tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(grey_of(tmp_path / f"a.{suffix}"), 255 * bits)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_what_fastreid_reads_well_is_read_alike(tmp_path: Path, suffix: str, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 12, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    options = {} if suffix == "bmp" else {"exif": exif}
    Image.fromarray(pixels).convert(mode).save(tmp_path / f"a.{suffix}", **options)
    stock = data_utils.read_image(str(tmp_path / f"a.{suffix}"), format="RGB")
    ours = read_image(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(stock))
    assert ours.size == ((12, 24) if suffix == "bmp" else (24, 12))


class _Broken(Dataset):
    def __init__(self, path: Path) -> None:
        self.path = path

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        if self.path.suffix == ".mask":
            raise MaskError(f'the mask "{self.path}" is small.')
        return read_image(self.path).height


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("a.jpg", ImageError, 'cannot read the image "{path}": image file is truncated'),
        ("b.jpg", ImageError, 'cannot read the image "{path}": No such file or directory. Replace'),
        ("c.mask", MaskError, 'the mask "{path}" is small.'),
    ],
)
def test_worker_says_one_sentence(
    tmp_path: Path, time_limit, name: str, kind: type[Exception], said: str, workers: int
) -> None:
    """torch puts the worker's trace before it."""
    path = tmp_path / name
    if name == "a.jpg":
        pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        path.write_bytes(path.read_bytes()[:-500])
    batches = iter(DataLoader(_Broken(path), num_workers=workers))
    with time_limit(60), pytest.raises(kind) as caught:
        next(batches)
    text = sentence(caught.value)
    assert text is not None and text.startswith(said.format(path=path))
    assert "Traceback" not in text and "\n" not in text
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    if workers:
        batches._shutdown_workers()


def test_kinds_of_errors() -> None:
    assert issubclass(ImageError, OSError) and issubclass(MaskError, ValueError)


def test_checked_images_say_why_and_what_to_do(tmp_path: Path) -> None:
    Image.fromarray(DEEP.astype(np.float32)).save(tmp_path / "float.tif")
    cv2.imwrite(str(tmp_path / "deep.png"), DEEP)
    good = (str(tmp_path / "deep.png"), 1, 0)
    check_images([good])
    with pytest.raises(ImageError, match=r"1 of 2 images.*float\.tif.*floating-point.*Replace"):
        check_images([good, (str(tmp_path / "float.tif"), 1, 0)])


@pytest.mark.parametrize(
    "folder", ["Partial-REID_Dataset", "Partial_iLIDS", "Market-1501-v15.09.15/query"]
)
def test_published_images_are_neither_deep_nor_turned(
    data_root: Callable[[str], Path], folder: str
) -> None:
    """So that nothing of this file changes a result: 8-bit RGB, and no EXIF orientation."""
    paths = sorted((data_root(folder) / folder).rglob("*.jpg"))
    assert len(paths) > 100
    for path in paths:
        with Image.open(path) as image:
            assert image.mode == "RGB" and image.getexif().get(ORIENTATION, 1) == 1, path
    for path in paths[:: len(paths) // 20]:
        stock = np.asarray(data_utils.read_image(str(path), format="RGB"))
        np.testing.assert_array_equal(np.asarray(read_image(path)), stock)


def test_a_pipe_is_refused_by_all_who_read(tmp_path: Path) -> None:
    """Opened, it waits for ever for somebody who writes."""
    os.mkfifo(tmp_path / "1.jpg")
    for read in (read_image, image_size, stamp_of):
        with pytest.raises(OSError, match="it is a pipe"):
            read(str(tmp_path / "1.jpg"))
