"""A query that lies in the gallery is found, and it is said that it is the query itself."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from partialreid.search.partial_reid import PartialReID
from partialreid.search.same_picture import NEAR, same_picture


def test_one_file_or_the_same_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 5, 3), dtype=np.uint8)
    one, copy, link, other = (tmp_path / name for name in ("a.png", "b.bmp", "c.png", "d.png"))
    Image.fromarray(pixels).save(one)
    Image.fromarray(pixels).save(copy)
    link.symlink_to(one)
    Image.fromarray(pixels[::-1]).save(other)
    for same in (str(one), one, link, copy, pixels, Image.fromarray(pixels)):
        assert same_picture(one, same, 0.0) and same_picture(same, one, 0.0)
    for different in (other, pixels[::-1], pixels.transpose(1, 0, 2), str(tmp_path / "gone.png")):
        assert not same_picture(one, different, 0.0)
    # One file is one file, however far what was extracted once is from what it shows now.
    assert same_picture(one, link, 1.0)
    assert not same_picture(one, copy, NEAR + 0.01)
    # What is far away is not read.
    os.remove(copy)
    assert not same_picture(pixels, copy, 1.0)


def test_the_match_says_so_in_python_in_the_numbers_and_on_the_page(
    model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    files = sorted(crops.iterdir())
    shutil.copy(files[1], tmp_path / "copy.png")
    half = Image.open(files[1]).convert("RGB")
    half.crop((0, 0, half.width, half.height // 2)).save(tmp_path / "half.png")
    index = model.index(crops, tmp_path / "crops.index")
    pixels = np.asarray(Image.open(files[1]).convert("RGB"))
    queries = [str(files[1]), tmp_path / "copy.png", pixels, tmp_path / "half.png"]
    for gallery in (model.gallery(crops), index):
        answers = model.search(queries, gallery, k=4)
        for answer in answers[:3]:
            assert len(answer) == 4  # it is kept
            same = [match.path for match in answer if match.same_picture]
            assert same == [str(files[1])]
        assert not any(match.same_picture for match in answers[3])
        answers.save(tmp_path / "answer", explained=1)
        found = json.loads((tmp_path / "answer" / "answers.json").read_text())["answers"]
        marks = [[match["same_picture"] for match in one["matches"]] for one in found]
        assert [sum(some) for some in marks] == [1, 1, 1, 0]
        page = (tmp_path / "answer" / "index.html").read_text(encoding="utf-8")
        data = json.loads(page.split('id="data">')[1].split("</script>")[0])
        notes = [[one["note"] for one in query["answers"]] for query in data["queries"]]
        assert notes == [["the query itself" if same else "" for same in some] for some in marks]
    index.close()
