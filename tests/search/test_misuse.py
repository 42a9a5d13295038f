"""What a caller in Python gets wrong: one clear error each, before any work."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from partialreid.images.reading import ImageError
from partialreid.search.answers import Answers
from partialreid.search.gallery import Gallery
from partialreid.search.partial_reid import PartialReID


@pytest.fixture
def gallery(model: PartialReID, crops: Path) -> Gallery:
    return model.gallery(crops)


Call = Callable[[PartialReID, Gallery, str], Any]


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda m, g, q: m.search([], g), ValueError, "there is no picture: the list is empty"),
        (lambda m, g, q: m.search(None, g), TypeError, "a picture is a path.*not NoneType"),
        (lambda m, g, q: m.search([q, None], g), TypeError, "a picture is a path.*not NoneType"),
        (lambda m, g, q: m.search([[q]], g), TypeError, "a picture is a path.*not list"),
        (
            lambda m, g, q: m.search(q, "crops"),
            TypeError,
            r"gallery is a str: .*model\.gallery\(\)",
        ),
        (lambda m, g, q: m.search(q, [q]), TypeError, r"gallery is a list: .*model\.gallery\(\)"),
        (lambda m, g, q: m.search(q, None), TypeError, "gallery is a NoneType"),
        (lambda m, g, q: m.search(q, g, k=2.5), TypeError, r"k is 2\.5: .*whole number"),
        (lambda m, g, q: m.search(q, g, k="3"), TypeError, "k is '3': .*whole number"),
        (lambda m, g, q: m.search(q, g, k=0), ValueError, "k is 0: .*at least one"),
        (lambda m, g, q: m.search("~/none.jpg", g), ImageError, r"/home of/none\.jpg"),
        (lambda m, g, q: m.search(str(Path(q).parent), g), ImageError, "Is a directory"),
        (lambda m, g, q: m.gallery([]), ValueError, "there is no picture: the list is empty"),
        (lambda m, g, q: m.gallery(None), TypeError, "a picture is a path.*not NoneType"),
        (lambda m, g, q: m.embed([]), ValueError, "there is no picture: the list is empty"),
        (lambda m, g, q: m.compare([q], q), TypeError, "a picture is a path.*not list"),
        (lambda m, g, q: m.compare(q, [q]), TypeError, "a picture is a path.*not list"),
        (lambda m, g, q: m.index([q], "x.index"), TypeError, "of a list: `gallery` takes"),
        (lambda m, g, q: m.index(q, "x.index"), ValueError, "is one picture.*a folder of its own"),
        (lambda m, g, q: Answers().save("x"), ValueError, "there is no answer to save"),
    ],
)
def test_one_clear_error(
    call: Call,
    kind: type[Exception],
    said: str,
    model: PartialReID,
    gallery: Gallery,
    crops: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home of")
    monkeypatch.setattr(model.extractor, "network", None)  # no work is begun
    with pytest.raises(kind, match=said) as caught:
        call(model, gallery, str(min(crops.iterdir())))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["crops"]


def test_a_query_that_cannot_be_read_is_found_before_the_work(
    model: PartialReID, gallery: Gallery, crops: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    good, broken = str(min(crops.iterdir())), str(tmp_path / "text.jpg")
    network, calls = model.extractor.network, list[int]()
    model.extractor.network = lambda images: calls.append(len(images)) or network(images)
    with pytest.raises(ImageError, match=r"1 of 3 queries cannot be read.*text\.jpg"):
        model.search([good, good, broken], gallery)
    with pytest.raises(ImageError, match=r"1 of 2 pictures cannot be read.*text\.jpg"):
        model.embed([good, broken])
    with pytest.raises(ImageError, match=r"none of the queries can be read.*text\.jpg"):
        model.search(broken, gallery, skip_unreadable=True)
    assert not calls
    answers = model.search([broken, good], gallery, skip_unreadable=True)
    assert [answer.query for answer in answers] == [good]
    assert [one.path for one in model.skipped] == [broken]
    model.search(good, gallery)
    assert model.skipped == []


def test_several_queries_of_all_kinds_give_a_list_that_can_be_saved(
    model: PartialReID, gallery: Gallery, crops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(crops.parent))
    path = min(crops.iterdir())
    pixels = np.asarray(Image.open(path).convert("RGB"))
    wanted = {match.path: match.distance for match in model.search(path, gallery, k=np.int64(9))}
    for queries in ([path], (path, pixels), iter([pixels]), [f"~/crops/{path.name}"]):
        answers = model.search(queries, gallery)
        assert isinstance(answers, Answers) and len(answers) in (1, 2)
        for answer in answers:
            found = {match.path: match.distance for match in answer}
            assert found == pytest.approx(wanted, abs=1e-5)  # batches of other sizes
        answers.save("~/answer")
        assert {file.name for file in (crops.parent / "answer").iterdir()} == {
            "index.html",
            "answers.json",
        }
        shutil.rmtree(crops.parent / "answer")
    assert model.gallery([f"~/crops/{path.name}"]).paths == [str(path)]
    with model.index("~/crops", "~/crops.index") as index:
        assert len(index) == 4
    model.open("~/crops.index").close()
    with pytest.raises(ValueError, match="probes is 0: a query looks into one list at least"):
        model.open("~/crops.index", probes=0)


def test_a_distance_that_no_search_computes_is_refused(model_file: Path) -> None:
    for keys in (("TEST.METRIC", "euclidean"), ("TEST.RERANK.ENABLED", "True")):
        with pytest.raises(ValueError, match=rf"{keys[0]} is {keys[1]}, .* no search: set"):
            PartialReID.load(model_file, "MODEL.DEVICE", "cpu", *keys)
