"""A gallery on disk follows its index, and answers keep to the pictures that they found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from partialreid.images.reading import ImageError
from partialreid.search.partial_reid import PartialReID


def test_after_a_refresh_it_finds_the_pictures_of_the_new_commit(
    model: PartialReID, crops: Path, tmp_path: Path
) -> None:
    table, into = crops / "crops.csv", tmp_path / "crops.index"
    first, *others = sorted(path.name for path in crops.iterdir())

    def update(names: list[str], camera: int) -> None:
        lines = [f"{name},{camera}" for name in names]
        table.write_text("\n".join(["path,camera", *lines]))
        model.index(table, into).close()

    update([first, *others[:2]], 3)
    with model.open(into) as gallery:
        selected = gallery.where(["camera<5"])
        query = crops / others[0]
        before = model.search(query, gallery, k=3)
        by_name = {Path(match.path).name: match for match in before}
        kept = by_name[others[0]]
        parts = kept.parts()
        wanted = {match.path: match.distances for match in before}
        update(others, 4)
        # Until then all is what it was.
        again = model.search(query, selected, k=3)
        assert {match.path for match in again} == set(wanted)
        assert {match.metadata["camera"] for match in again} == {3}
        gallery.index.refresh()
        for one in (gallery, selected):
            assert [Path(path).name for path in one.paths] == others and len(one) == len(others)
            found = model.search(query, one, k=9)
            assert sorted(Path(match.path).name for match in found) == others
            assert {match.metadata["camera"] for match in found} == {4}
            for match in found:
                known = wanted.get(match.path, match.distances)
                assert match.distances == pytest.approx(known, abs=1e-5)
                assert gallery.paths[match.place] == match.path
        # Answers from before speak of their own pictures, though these are at other places.
        assert kept.parts() == parts
        with pytest.raises(ImageError, match=f"{first}. is no longer in the index, or was indexed"):
            by_name[first].parts()
        # One that was indexed anew is another picture.
        image = Image.open(query).convert("RGB")
        shutil.copy(query, tmp_path / "query.png")
        image.crop((0, 0, image.width, image.height // 2)).save(query)
        later = model.search(tmp_path / "query.png", gallery, k=9)
        update(others, 4)
        gallery.index.refresh()
        with pytest.raises(ImageError, match="was indexed anew"):
            next(match for match in later if match.path == str(query)).explain()
