"""An index follows the files of its gallery; what did not change is not extracted again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from partialreid.index import filling
from partialreid.index.filling import fill
from partialreid.index.gallery import Index
from partialreid.matching.extracted import Images
from tests.index.made_up import images, made_index, record


class Network:
    """Extracts the number that a file holds, three files at a time, and says which it saw."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.seen: list[str] = []
        self._fails_at = fails_at

    def __call__(self, paths: list[str]) -> Iterator[tuple[list[int], Images]]:
        for start in range(0, len(paths), 3):
            some = range(start, min(start + 3, len(paths)))
            texts = {place: Path(paths[place]).read_text() for place in some}
            self.seen += [os.path.basename(paths[place]) for place in some]
            places = [place for place, text in texts.items() if text != "broken"]
            if self._fails_at in places:
                raise ValueError("the network has failed")
            if places:
                yield places, images([record(int(texts[place])) for place in places])


def write(folder: Path, **numbers: object) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, number in numbers.items():
        (folder / f"{name}.jpg").write_text(str(number))
    return sorted(os.listdir(folder))


def test_a_gallery_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "IMAGES_OF_A_COMMIT", 2)
    folder, path = tmp_path / "crops", made_index(tmp_path)
    names = write(folder, a=1, b=2, c="broken", d=4, e=5, f=6, g=7)
    with Index.open(path, write=True) as index:
        network = Network()
        known = {"a.jpg": {"camera": 1}, "d.jpg": {"camera": 2}}
        done = fill(index, names, str(folder), network, known)
        assert done.put == ["a.jpg", "b.jpg", "d.jpg", "e.jpg", "f.jpg", "g.jpg"] == index.names
        assert (done.removed, done.unchanged, done.unreadable) == ([], 0, {})
        assert [index.metadata[0], index.metadata[1], index.metadata[2]] == [
            {"camera": 1},
            {},
            {"camera": 2},
        ]
        assert index.images([5]).columns[0].equal(record(7).columns)

        os.remove(folder / "b.jpg")
        os.utime(folder / "d.jpg", ns=(1, 1))
        names = write(folder, a=9, c=3, h=8)
        os.remove(folder / "g.jpg")
        os.symlink("nowhere", folder / "g.jpg")
        network = Network()
        done = fill(index, names, str(folder), network, {"d.jpg": {"camera": 4}})
        assert network.seen == done.put == ["a.jpg", "c.jpg", "h.jpg"]
        assert (done.removed, done.unchanged) == (["b.jpg"], 3)
        assert done.unreadable == {"g.jpg": "No such file or directory"}
        assert index.names == ["d.jpg", "e.jpg", "f.jpg", "g.jpg", "a.jpg", "c.jpg", "h.jpg"]
        assert [index.metadata[0], index.metadata[4]] == [{"camera": 4}, {"camera": 1}]
        assert index.images([4]).columns[0].equal(record(9).columns)

        before, network = index.commit, Network()
        again = fill(index, names, str(folder), network)
        assert (again.put, again.unchanged, network.seen) == ([], 6, [])
        assert index.commit == before and index.check() == []


def test_what_was_committed_is_not_extracted_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(filling, "IMAGES_OF_A_COMMIT", 2)
    path = made_index(tmp_path)
    folder = tmp_path / "crops"
    names = write(folder, a=1, b=2, c=3, d=4, e=5)
    failing = pytest.raises(ValueError, match="the network has failed")
    with Index.open(path, write=True) as index, failing:
        fill(index, names, str(folder), Network(fails_at=3))
    with Index.open(path, write=True) as index:
        assert index.names == ["a.jpg", "b.jpg"]
        network = Network()
        fill(index, names, str(folder), network)
        assert network.seen == ["c.jpg", "d.jpg", "e.jpg"] and index.names == names


def test_too_much_for_the_disk_is_said_after_the_first_commit(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(filling, "IMAGES_OF_A_COMMIT", 1)
    names = write(tmp_path / "crops", a=1, b=2, c=3)
    with Index.open(made_index(tmp_path), write=True) as index:
        room = index._database.used_bytes() + 10 * 32768
        monkeypatch.setattr(index._database, "room", lambda: room)
        with pytest.raises(OSError, match="make room there"):
            fill(
                index,
                [*names, *(f"{n}.jpg" for n in range(100))],
                str(tmp_path / "crops"),
                Network(),
            )
        assert index.names == names[:1]
