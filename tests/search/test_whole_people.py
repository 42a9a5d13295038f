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
from partialreid.search.answers import Answer
from partialreid.search.partial_reid import PartialReID

CPU = ("MODEL.DEVICE", "cpu")
KEYS = (*CPU, "INPUT.KEEP_RATIO", "gallery", "INPUT.KEEP_RATIO_STEP", "1")


@pytest.fixture
def by_gallery(model_file: Path) -> PartialReID:
    return PartialReID.load(model_file, *KEYS)


@pytest.fixture
def narrow(crops: Path) -> Path:
    """The drawn people in boxes of 3 : 1."""
    for path in crops.iterdir():
        Image.open(path).convert("RGB").resize((40, 120)).save(path)
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


def test_an_index_keeps_its_number_and_says_where_others_come(
    by_gallery: PartialReID, narrow: Path, half: Path, caplog: pytest.LogCaptureFixture
) -> None:
    into = half.parent / "narrow.index"
    with by_gallery.index(narrow, into) as index:
        before = numbers(by_gallery.search(half, index))
    boxes = {"one": [(40, 80)], "many": [(40, 100), (40, 101), (40, 100), (40, 102), (40, 100)]}
    for name, sizes in boxes.items():
        for number, (width, height) in enumerate(sizes):
            Image.new("RGB", (width, height)).save(narrow / f"{name}_{number}.png")
        caplog.clear()
        with caplog.at_level(logging.WARNING), by_gallery.index(narrow, into) as index:
            assert index.whole == 3.0
            old = [match for match in numbers(by_gallery.search(half, index)) if match in before]
            assert len(old) == len(before) == 4
        said = "times as high as wide, as its first pictures said; 5 new ones say 2.50"
        # One is a part of the gallery's people; as many as there were are another gallery.
        assert (said in caplog.text) == (name == "many")
    with by_gallery.open(into) as index:
        assert index.whole == 3.0


def test_a_model_that_needs_no_gallery_measures_none(model: PartialReID, narrow: Path) -> None:
    assert model.extractor.measured(["no file"]) == 0.0
    assert model.gallery(narrow).whole == 0.0
    with model.index(narrow, narrow.parent / "fit.index") as index:
        assert "keep_ratio_whole" not in index.index.about


def test_two_pictures_are_compared_by_the_second(
    by_gallery: PartialReID, model_file: Path, narrow: Path, half: Path
) -> None:
    """By itself it says how high a whole person is; one that is cut says nothing."""
    person = min(narrow.iterdir())
    for second, whole in ((person, "3.0"), (half, "2.0")):
        named = PartialReID.load(model_file, *KEYS, "INPUT.KEEP_RATIO_WHOLE", whole)
        pair, wanted = by_gallery.compare(half, second), named.compare(half, second)
        assert dict(pair.distances) == dict(wanted.distances)


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
    assert "a whole person is 2.50 times as high as wide" in caplog.text
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
