"""A page of answers is made where pictures are gone, too, or have changed since the index."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.images.reading import ImageError
from partialreid.search.partial_reid import PartialReID


def asked(folder: Path) -> Any:
    """The first query on a page."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    return json.loads(page.split('id="data">')[1].split("</script>")[0])["queries"][0]


def shown(folder: Path) -> list[Any]:
    """Its answers."""
    found: list[Any] = asked(folder)["answers"]
    return found


def test_of_an_index(
    model: PartialReID, crops: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    query = tmp_path / "half.png"
    Image.open(min(crops.iterdir())).convert("RGB").crop((0, 0, 40, 40)).save(query)
    with model.index(crops, tmp_path / "crops.index") as index:
        answer = model.search(query, index, k=4)
        whole = answer[0].explain().size
        kept, gone, changed, touched = (Path(match.path) for match in answer)
        gone.unlink()
        image = Image.open(changed).convert("RGB")
        image.crop((0, 0, image.width, image.height // 2)).save(changed)
        os.utime(touched, (1, 1))
        answer.save(tmp_path / "answer", explained=4)
        assert "2 pictures of the answers are gone or have changed" in caplog.text
        cards = shown(tmp_path / "answer")
        assert [bool(card["image"]) for card in cards] == [True, False, False, True]
        assert [bool(card["reason"]) for card in cards] == [True, False, False, True]
        assert [card["note"] for card in cards] == [
            "",
            "picture is gone",
            "picture has changed since it was indexed",
            "",
        ]
        assert [card["path"] for card in cards] == [match.path for match in answer]
        for match, why in ((answer[1], "is gone"), (answer[2], "has changed since")):
            for lost in (match.explain, match.parts):
                with pytest.raises(ImageError, match=rf"{match.path}. {why}.*put it back"):
                    lost()
        # A rival that is lost is left out: the picture has no part beside it.
        assert answer[0].explain().size != whole
        query.unlink()
        answer.save(tmp_path / "answer")
        cards = shown(tmp_path / "answer")
        assert [bool(card["image"]) for card in cards] == [True, False, False, True]
        assert not any(card["reason"] for card in cards)
        assert (asked(tmp_path / "answer")["image"], asked(tmp_path / "answer")["note"]) == (
            "",
            "picture is gone",
        )
    assert kept.exists()


def test_of_a_gallery_in_memory(model: PartialReID, crops: Path, tmp_path: Path) -> None:
    gallery = model.gallery(crops)
    image = Image.open(min(crops.iterdir()))
    answer = model.search(image.crop((0, 0, 40, 40)), gallery, k=3)
    Path(answer[1].path).unlink()
    Path(answer[2].path).write_text("no image any more")
    os.utime(answer[0].path, (1, 1))  # touched, and the same
    answer.save(tmp_path / "answer")
    notes = [card["note"] for card in shown(tmp_path / "answer")]
    assert notes == ["", "picture is gone", "picture has changed since it was extracted"]
    assert shown(tmp_path / "answer")[0]["reason"]


@pytest.mark.parametrize("of_query", [True, False])
def test_nothing_is_explained_by_the_pixels_of_another_picture(
    of_query: bool,
    model: PartialReID,
    crops: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    query, other = tmp_path / "half.png", max(crops.iterdir())
    Image.open(min(crops.iterdir())).convert("RGB").crop((0, 0, 40, 40)).save(query)
    answer = model.search(query, model.gallery([min(crops.iterdir())]))
    before = answer[0].explain(), answer[0].parts()
    changed = query if of_query else Path(answer[0].path)
    content = changed.read_bytes()
    changed.write_bytes(other.read_bytes())
    again = "search again" if of_query else "extract the gallery again"
    for lost in (answer[0].explain, answer[0].parts):
        with pytest.raises(ImageError, match=f"{changed}. has changed since .*, or {again}"):
            lost()
    answer.save(tmp_path / "answer")
    assert "of the answers are gone or have changed" in caplog.text
    of_page = asked(tmp_path / "answer")
    images = of_page["image"], of_page["answers"][0]["image"]
    assert [bool(image) for image in images] == [not of_query, of_query]
    one = of_page if of_query else of_page["answers"][0]
    assert one["note"] == "picture has changed since it was extracted"
    assert of_page["answers"][0]["reason"] == ""
    changed.write_bytes(content)  # put back as it was
    assert answer[0].explain().tobytes() == before[0].tobytes()
    assert answer[0].parts() == before[1]


@pytest.mark.parametrize("kind", ["array", "tensor", "image"])
def test_what_a_program_overwrites_is_shown_as_it_was_extracted(
    kind: str, model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    """A camera's frames, for example, all come in one array."""

    def held(path: Path) -> Any:
        image = Image.open(path).convert("RGB")
        array = np.array(image)
        tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
        return {"array": array, "tensor": tensor, "image": image}[kind]

    def overwrite(picture: Any) -> None:
        if kind == "image":
            picture.paste((0, 0, 0), (0, 0, *picture.size))
        else:
            picture[:] = 0

    query, pictures = held(min(crops.iterdir())), [held(path) for path in sorted(crops.iterdir())]
    answer = model.search(query, model.gallery(pictures), k=2)
    before = answer[1].explain().tobytes(), answer[1].parts()
    answer.save(tmp_path / "before")
    for picture in (query, *pictures):
        overwrite(picture)
    assert (answer[1].explain().tobytes(), answer[1].parts()) == before
    answer.save(tmp_path / "after")
    assert asked(tmp_path / "after") == asked(tmp_path / "before")
