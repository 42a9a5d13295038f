"""INPUT.KEEP_RATIO gallery in a search: the gallery says how high whole people are."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from partialreid.commands.calibrate import main as calibrate
from partialreid.commands.export import main as export
from partialreid.commands.rankings import main as rankings
from partialreid.index.gallery import Index
from partialreid.search.answers import Answer
from partialreid.search.partial_reid import PartialReID

CPU = ("MODEL.DEVICE", "cpu")
KEYS = (*CPU, "INPUT.KEEP_RATIO", "gallery", "INPUT.KEEP_RATIO_STEP", "1")


@pytest.fixture
def by_gallery(model_file: Path) -> PartialReID:
    return PartialReID.load(model_file, *KEYS)


@pytest.fixture
def narrow(crops: Path) -> Path:
    """Twelve pictures of the drawn people in boxes of 3 : 1."""
    for path in list(crops.iterdir()):
        image = Image.open(path).convert("RGB").resize((40, 120))
        image.save(path)
        for number in (1, 2):
            image.rotate(number).save(crops / f"{path.stem}_{number}.png")
    return crops


@pytest.fixture
def half(narrow: Path, tmp_path: Path) -> Path:
    """The upper half of the first of them."""
    Image.open(min(narrow.iterdir())).crop((0, 0, 40, 60)).save(tmp_path / "half.png")
    return tmp_path / "half.png"


def narrow_people(model_file: Path, into: Path) -> Path:
    """The drawn test set with a gallery of 2.5 : 1."""
    shutil.copytree(next((model_file.parent / "data").glob("Synthetic*")), into)
    for image in (into / "gallery").iterdir():
        Image.open(image).convert("RGB").resize((40, 100)).save(image)
    return into


def numbers(answer: Answer) -> list[tuple[str, dict[str, float]]]:
    return [(match.path, dict(match.distances)) for match in answer]


@pytest.mark.parametrize("indexed", [False, True])
def test_distances_are_those_of_its_number(
    indexed: bool, by_gallery: PartialReID, model_file: Path, narrow: Path, half: Path
) -> None:
    """Queries, too, are scaled by what the gallery says, and explanations show them so."""
    named = PartialReID.load(model_file, *KEYS, "INPUT.KEEP_RATIO_WHOLE", "3.0")
    fit = PartialReID.load(model_file, *CPU, "INPUT.KEEP_RATIO_STEP", "1")
    found = []
    for number, model in enumerate((by_gallery, named, fit)):
        into = half.parent / f"{number}.index"
        gallery = model.index(narrow, into) if indexed else model.gallery(narrow)
        answer = model.search(half, gallery)
        parts = [match.parts() for match in answer]
        found.append((numbers(answer), parts, answer[0].explain().tobytes()))
        assert gallery.whole == (3.0 if model is by_gallery else 0.0)
        assert answer.record["keep_ratio_whole"] == (0.0 if model is fit else 3.0)
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]


def test_pictures_without_a_file_are_measured(
    by_gallery: PartialReID, narrow: Path, half: Path
) -> None:
    pictures = [Image.open(path).convert("RGB") for path in sorted(narrow.iterdir())]
    gallery = by_gallery.gallery(pictures)
    assert gallery.whole == 3.0
    expected = [d for _, d in numbers(by_gallery.search(half, by_gallery.gallery(narrow)))]
    assert [d for _, d in numbers(by_gallery.search(half, gallery))] == expected


def add(folder: Path, name: str, sizes: list[tuple[int, int]]) -> None:
    for number, size in enumerate(sizes):
        Image.new("RGB", size, (number, 0, 0)).save(folder / f"{name}_{number}.png")


def test_an_index_keeps_its_number_and_says_where_others_come(
    by_gallery: PartialReID, narrow: Path, half: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One flatter picture is less than a tenth; seven of nineteen say another number."""
    into = half.parent / "narrow.index"
    with by_gallery.index(narrow, into) as index:
        before = numbers(by_gallery.search(half, index, 12))
        assert index.whole == 3.0
    for name, count, said in (("one", 1, False), ("some", 6, True), ("none", 0, False)):
        add(narrow, name, [(40, 90)] * count)
        caplog.clear()
        with caplog.at_level(logging.WARNING), by_gallery.index(narrow, into) as index:
            assert index.whole == 3.0
            kept = [one for one in numbers(by_gallery.search(half, index, 24)) if one in before]
            assert len(kept) == len(before) == 12
        words = "to be 3.00 times as high as wide, as its first pictures said, and the gallery of"
        assert (f"{words} now says 2.25" in caplog.text) == said
    # Boxes like the first ones: so many more are no other gallery.
    (narrow.parent / "alike").mkdir()
    add(narrow.parent / "alike", "a", [(40, 120)] * 10)
    with by_gallery.index(narrow.parent / "alike", half.parent / "alike.index"):
        add(narrow.parent / "alike", "b", [(40, 118)] * 20)
    caplog.clear()
    with by_gallery.index(narrow.parent / "alike", half.parent / "alike.index") as index:
        assert index.whole == 3.0 and len(index) == 30
    assert "as its first pictures said" not in caplog.text


def test_an_index_whose_first_pictures_go_says_so(
    by_gallery: PartialReID, narrow: Path, half: Path, caplog: pytest.LogCaptureFixture
) -> None:
    into = half.parent / "narrow.index"
    by_gallery.index(narrow, into).close()
    for path in sorted(narrow.iterdir())[:6]:
        path.unlink()
    add(narrow, "other", [(40, 90)] * 5)
    with by_gallery.index(narrow, into) as index:
        assert index.whole == 3.0
    assert "the gallery of now says 2.25" in caplog.text


@pytest.mark.parametrize("how", ["emptied", "replaced"])
def test_an_index_of_which_nothing_stays_measures_anew(
    how: str, by_gallery: PartialReID, narrow: Path, half: Path
) -> None:
    into, fresh = half.parent / "narrow.index", half.parent / "fresh.index"
    by_gallery.index(narrow, into).close()
    if how == "emptied":
        with Index.open(into, write=True) as index:
            index.remove(index.names)
    for number, path in enumerate(sorted(narrow.iterdir())):
        image = Image.open(path).resize((40, 100))
        path.unlink()
        image.save(narrow / f"new_{number}.png")
    with by_gallery.index(narrow, into) as index, by_gallery.index(narrow, fresh) as wanted:
        assert index.whole == wanted.whole == 2.5 and len(index) == 12
        found, expected = (numbers(by_gallery.search(half, x, 12)) for x in (index, wanted))
        assert found == expected


def test_pictures_that_change_leave_the_number_and_what_is_known(
    by_gallery: PartialReID, narrow: Path, half: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, into = narrow / "people.csv", half.parent / "narrow.index"
    paths = sorted(narrow.glob("*.png"))
    table.write_text("path,camera\n" + "".join(f"{path.name},3\n" for path in paths))
    by_gallery.index(table, into).close()
    table.unlink()
    for path in paths:
        Image.open(path).resize((40, 100)).save(path)
    with by_gallery.index(narrow, into) as index:
        assert index.whole == 3.0 and len(index.where(["camera=3"])) == 12
    assert "the gallery of now says 2.50" in caplog.text


def test_few_or_unreadable_pictures_say_nothing_against_an_index(
    by_gallery: PartialReID, narrow: Path, half: Path, caplog: pytest.LogCaptureFixture
) -> None:
    into = half.parent / "narrow.index"
    by_gallery.index(narrow, into).close()
    for number, path in enumerate(sorted(narrow.iterdir())):
        if number < 8:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:60])
    with by_gallery.index(narrow, into, skip_unreadable=True) as index:
        assert index.whole == 3.0 and len(index) == 4
    add(narrow, "new", [(40, 90)] * 3)
    by_gallery.index(narrow, into, skip_unreadable=True).close()
    assert "as its first pictures said" not in caplog.text


def test_an_index_of_few_pictures_is_to_fit_and_says_so_when_it_has_grown(
    by_gallery: PartialReID, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "few").mkdir()
    for count, said in ((6, False), (3, False), (2, True)):
        add(tmp_path / "few", f"{count}", [(40, 120)] * count)
        with by_gallery.index(tmp_path / "few", tmp_path / "few.index") as index:
            assert index.whole == 0.0
        assert ("is to fit, as its first pictures said, and" in caplog.text) == said


def test_a_number_is_one_and_is_kept_where_it_is_used(
    by_gallery: PartialReID, model: PartialReID, narrow: Path
) -> None:
    assert by_gallery.gallery(narrow, whole=2.5).whole == 2.5
    assert model.gallery(narrow, whole=2.5).whole == 0.0
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"whole is {wrong}: give the height by width of"):
            by_gallery.gallery(narrow, whole=wrong)


def test_unreadable_pictures_are_not_measured(
    by_gallery: PartialReID, narrow: Path, half: Path
) -> None:
    add(narrow, "flat", [(40, 40)] * 5)
    for path in narrow.glob("flat_*.png"):
        path.write_bytes(path.read_bytes()[:60])
    with by_gallery.index(narrow, half.parent / "narrow.index", skip_unreadable=True) as index:
        assert index.whole == 3.0 and len(by_gallery.skipped) == 5
    assert by_gallery.gallery(narrow, skip_unreadable=True).whole == 3.0


def test_a_picture_on_its_side_is_measured_upright(by_gallery: PartialReID, narrow: Path) -> None:
    for path in narrow.iterdir():
        image = Image.open(path).transpose(Image.Transpose.ROTATE_90)
        exif = image.getexif()
        exif[0x0112] = 6  # to be turned by 90 degrees to the right
        image.save(path, exif=exif)
    assert by_gallery.gallery(narrow).whole == 3.0


def test_a_model_that_needs_no_gallery_measures_none(model: PartialReID, narrow: Path) -> None:
    assert model.extractor.measured(["no file"]) == 0.0
    assert model.gallery(narrow).whole == 0.0
    with model.index(narrow, narrow.parent / "fit.index") as index:
        assert "keep_ratio_whole" not in index.index.about


def test_two_pictures_are_compared_to_fit_or_as_in_a_gallery(
    by_gallery: PartialReID, model_file: Path, narrow: Path, half: Path
) -> None:
    """Two pictures do not say what a whole person is, not even a narrow half of one."""
    person = min(narrow.iterdir())
    fit = PartialReID.load(model_file, *CPU, "INPUT.KEEP_RATIO_STEP", "1")
    alone = by_gallery.compare(half, person)
    assert dict(alone.distances) == dict(fit.compare(half, person).distances)
    gallery = by_gallery.gallery(narrow)
    (match,) = [m for m in by_gallery.search(half, gallery, 12) if m.path == str(person)]
    pair = by_gallery.compare(half, person, gallery.whole)
    assert dict(pair.distances) == pytest.approx(dict(match.distances), abs=1e-5)
    assert pair.distances["reconstruction"] != alone.distances["reconstruction"]


def test_pictures_that_are_embedded_belong_to_no_gallery(
    by_gallery: PartialReID, model_file: Path, half: Path
) -> None:
    fit = PartialReID.load(model_file, *CPU, "INPUT.KEEP_RATIO_STEP", "1")
    torch.testing.assert_close(
        by_gallery.embed(half).columns, fit.embed(half).columns, rtol=0, atol=0
    )


def test_verdicts_are_learnt_and_given_by_what_galleries_say(
    model_file: Path, narrow: Path, half: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A calibration of test sets that were measured holds for searches that measure."""
    path = str(tmp_path / "by_gallery.safetensors")
    keys = [*KEYS[2:], "TEST.DSR.LAMBDA_SELECTION", "fixed"]
    assert export([str(model_file), path, *keys]) == 0
    people = narrow_people(model_file, tmp_path / "people")
    into = str(tmp_path / "learnt")
    assert calibrate([path, "--people", f"folder:{people}", *CPU, "OUTPUT_DIR", into]) == 0
    assert "whole people are taken to be 2.50 times as high as wide" in caplog.text
    model = PartialReID.load(path, *CPU)
    answer = model.search(half, model.gallery(narrow))
    assert answer[0].probability is not None
    named = PartialReID.load(path, *CPU, "INPUT.KEEP_RATIO_WHOLE", "3.0")
    assert named.calibration is None


@pytest.mark.slow
def test_a_page_of_a_test_set_explains_what_was_evaluated(model_file: Path, tmp_path: Path) -> None:
    people = narrow_people(model_file, tmp_path / "people")
    pages = []
    for name, keys in (("measured", []), ("named", ["INPUT.KEEP_RATIO_WHOLE", "2.5"])):
        into = ["OUTPUT_DIR", str(tmp_path / name), "DATASETS.TESTS", f"('folder:{people}',)"]
        show = ["--model", str(model_file), "--queries", "2", "--length", "2", "--explain", "1"]
        assert rankings([*show, *KEYS, *keys, *into]) == 0
        (page,) = (tmp_path / name / "rankings").iterdir()
        pages.append(page.read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
