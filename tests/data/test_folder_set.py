"""A user's folder as a data set: names, lists, what is made of it, and what is wrong with it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from partialreid.data.catalogue import (
    file_name,
    held_out_stem,
    is_data_set,
    is_held_out,
    load_dataset,
    split_name,
    train_items,
    with_suffix,
)
from partialreid.data.checked_lists import checked_lists
from partialreid.data.folder_set import without_folders_above
from partialreid.data.loaders import build_test_loader
from partialreid.engine.checks import check_config
from partialreid.images.image_table import PARTS
from tests.drawn_set import draw

pytestmark = pytest.mark.usefixtures("cache")

PEOPLE = ("Anna", "Bob", "Zo\u00e9 L.", "007")
# What follows an identity in the names of a part's images: with cameras and without.
SHOTS = {"train": ("c1_1", "c1_2", "c2_1"), "query": ("c1_8",), "gallery": ("c1_9", "c2_9", "c3_9")}
PLAIN = {"train": ("1", "2", "3"), "query": ("8",), "gallery": ("9", "10")}


def make(path: Path, shots: dict[str, tuple[str, ...]] = SHOTS, join: str = "_") -> str:
    """Draw the images of all people and return the name of the set."""
    for part, each in shots.items():
        for person in PEOPLE:
            for shot in each:
                draw(path / part / f"{person}{join}{shot}.png")
    return f"folder:{path}"


@pytest.fixture
def cfg(tmp_path: Path, make_config) -> Any:
    cfg = make_config("DATASETS.ROOT", str(tmp_path / "data"), "INPUT.SIZE_TEST", [64, 32])
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.TEST.DSR.LAMBDA_SELECTION = "fixed"
    return cfg


def counted(items: list[Any], place: int) -> list[int]:
    """How many images there are of each identity (1) or from each camera (2), sorted."""
    return sorted(Counter(item[place] for item in items).values())


@pytest.mark.parametrize("join", ["_", "/"], ids=["names", "sub-folders"])
def test_lists_with_cameras(cfg: Any, tmp_path: Path, join: str) -> None:
    name = make(tmp_path / "set", SHOTS, join)
    _, query, gallery = checked_lists(cfg, name)
    assert (len(query), len(gallery)) == (4, 12)
    assert counted(gallery, 1) == [3] * 4 and counted(gallery, 2) == [4] * 3
    # A person has one number, and camera 1 of the queries is camera 1 of the gallery.
    for path, pid, camera in query:
        shown = [item for item in gallery if item[1] == pid]
        assert {camera} == {item[2] for item in shown if "c1_9" in item[0]}
        assert all(Path(path).name[0] in item[0][len(str(tmp_path)) :] for item in shown)
    cfg.DATASETS.NAMES = (name,)
    trained = train_items(cfg)
    assert {pid for _, pid, _ in trained} == set(PEOPLE)
    assert counted(trained, 1) == [3] * 4 and counted(trained, 2) == [4, 8]


def test_without_cameras_all_of_the_gallery_counts(cfg: Any, tmp_path: Path) -> None:
    _, query, gallery = checked_lists(cfg, make(tmp_path / "set", PLAIN))
    assert {item[2] for item in query} == {0} and {item[2] for item in gallery} == {1}


def test_a_list_says_what_the_folder_says(cfg: Any, tmp_path: Path) -> None:
    name = make(tmp_path / "set")
    lines = ["path,identity,camera,split"]
    data = load_dataset(cfg, name)
    for part in PARTS:
        for path, identity, camera in reversed(getattr(data, part)):
            lines.append(f"{os.path.relpath(path, tmp_path)},{identity},{camera},{part}")
    (tmp_path / "people.csv").write_text("\n".join(lines), encoding="utf-8")
    other = f"folder:{tmp_path / 'people.csv'}"
    for found, wanted in zip(checked_lists(cfg, other)[1:], checked_lists(cfg, name)[1:]):
        assert [item[:2] for item in found] == [item[:2] for item in wanted]
        assert counted(found, 2) == counted(wanted, 2)
    cfg.DATASETS.NAMES = (other,)
    assert len(train_items(cfg)) == 12
    assert load_dataset(cfg, f"{other}Partial").query


@pytest.mark.parametrize("written", ["{}", "{}/", "./people é", "~/people é", "people é/."])
def test_ways_to_write_a_path(
    cfg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "people é"
    name = make(path)
    other = "folder:" + written.format(path)
    first, second = load_dataset(cfg, name), load_dataset(cfg, other)
    assert first.query == second.query and first.made_name == second.made_name
    assert with_suffix(other, "Partial") == "folder:" + written.format(path).rstrip("/") + "Partial"
    # Anything else that is made of it is found under the same folder.
    if not other.endswith("."):
        made = load_dataset(cfg, with_suffix(other, "Partial"))
        assert made.query == load_dataset(cfg, f"{name}Partial").query


def test_what_is_made_of_a_folder(cfg: Any, tmp_path: Path) -> None:
    name = make(tmp_path / "my set")
    cfg.DATASETS.HELD_OUT = 2
    whole = load_dataset(cfg, name)
    folders = set()
    for suffix in ("Partial", "Occluded", "HeldOut", "HeldOutPartial", "PartialOccluded"):
        made = name + suffix
        assert is_data_set(made) and is_held_out(made) == suffix.startswith("HeldOut")
        loader, queries = build_test_loader(cfg, made)
        data = load_dataset(cfg, made)
        if suffix.startswith("HeldOut"):
            # Two people, of two images each one is a query in each camera with something to find.
            assert counted(data.query, 1) == [1, 1] and counted(data.gallery, 1) == [2, 2]
        else:
            assert (queries, len(loader.dataset)) == (4, 16)
            assert sorted(item[0] for item in data.gallery) == sorted(i[0] for i in whole.gallery)
        if suffix != "HeldOut":
            folders.add(Path(data.query[0][0]).relative_to(tmp_path / "data").parts[0])
    short = file_name(name)
    assert short.startswith("my_set-") and all(folder.startswith(short) for folder in folders)
    assert len(folders) == 4
    cfg.DATASETS.NAMES = (name,)
    assert len({pid for _, pid, _ in train_items(cfg)}) == 2


def test_held_out_without_cameras(cfg: Any, tmp_path: Path) -> None:
    """The first image of each is looked for among its others; one with no other is not."""
    name = make(tmp_path / "set", PLAIN)
    (tmp_path / "set/train/Bob_2.png").unlink()
    for shot in (2, 3):
        (tmp_path / f"set/train/Anna_{shot}.png").unlink()
    cfg.DATASETS.HELD_OUT = 3
    query, gallery = checked_lists(cfg, f"{name}HeldOut")[1:]
    shown = {Path(path).name for path, *_ in [*query, *gallery]}
    people = {file.split("_")[0] for file in shown}
    looked_for = people - {"Anna"}
    assert len(people) == 3 and looked_for
    assert {Path(path).name for path, *_ in query} == {f"{person}_1.png" for person in looked_for}
    assert shown == {
        p.name for p in (tmp_path / "set/train").iterdir() if p.name.split("_")[0] in people
    }


def test_two_folders_of_one_name(cfg: Any, tmp_path: Path) -> None:
    """Their people and what is made of them stay apart."""
    one, two = make(tmp_path / "a" / "set"), make(tmp_path / "b" / "set")
    cfg.DATASETS.NAMES = (one, two)
    assert len({pid for _, pid, _ in train_items(cfg)}) == 8
    made = [load_dataset(cfg, f"{name}Partial").query[0][0] for name in (one, two)]
    assert Path(made[0]).parts[-3] != Path(made[1]).parts[-3]
    cfg.DATASETS.NAMES = (one, f"{one}/")
    with pytest.raises(ValueError, match="training images in common"):
        train_items(cfg)


def test_with_test_images_a_person_stays_one(cfg: Any, tmp_path: Path) -> None:
    cfg.DATASETS.NAMES = (make(tmp_path / "set"),)
    cfg.DATASETS.COMBINEALL = True
    assert counted(train_items(cfg), 1) == [7] * 4


def test_names_of_folders(tmp_path: Path) -> None:
    name = make(tmp_path / "set")
    assert split_name(f"{name}HeldOutOccluded") == (f"{name}HeldOut", "Occluded")
    assert held_out_stem(f"{name}HeldOut") == name
    # A suffix belongs to the name of a folder and is none.
    for other in (
        f"{name}/Partial",
        "folder:Partial",
        "folder:",
        f"{name}Hidden",
        "folder:HeldOut",
    ):
        assert not is_data_set(other) and split_name(other) is None
    assert file_name("Market1501HeldOutPartial") == "Market1501HeldOutPartial"
    assert file_name(f"{name}HeldOutPartial") == f"{file_name(name)}HeldOutPartial"
    (tmp_path / "set" / "Partial").mkdir()
    assert is_data_set(f"{name}/Partial") and split_name(f"{name}/Partial") is None
    assert without_folders_above(f"{name}/") == "folder:set"
    assert without_folders_above("Market1501") == "Market1501"


def test_a_name_with_two_meanings(cfg: Any, tmp_path: Path) -> None:
    """A folder beside another, called as what is made of that."""
    name = make(tmp_path / "set")
    make(tmp_path / "setPartial", PLAIN)
    for ask in (is_data_set, split_name, lambda name: load_dataset(cfg, name)):
        with pytest.raises(
            ValueError, match=r"setPartial' has two meanings.*end the name with a /"
        ):
            ask(f"{name}Partial")
    assert len(checked_lists(cfg, f"{name}Partial/")[2]) == 8
    shutil.rmtree(tmp_path / "set")
    assert len(checked_lists(cfg, f"{name}Partial")[2]) == 8


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("", r"'folder:': it names no folder\. A set is a folder with train/, query/, gallery/"),
        ("{}/no", r'there is no "{}/no"\. A set is a folder with'),
        ("{}/noPartial", r'there is no "{}/noPartial" nor "{}/no", of which such a set could be'),
        ("{}/no.csv", r'there is no "{}/no\.csv"'),
        ("{}/file.txt", r'"{}/file\.txt" is no folder, and its name does not end in \.csv'),
    ],
)
@pytest.mark.parametrize("group", ["NAMES", "TESTS"])
def test_no_such_folder(cfg: Any, tmp_path: Path, end: str, said: str, group: str) -> None:
    (tmp_path / "file.txt").touch()
    cfg.merge_from_list(
        ["MODEL.META_ARCHITECTURE", "PartialBaseline", "DATASETS.TESTS", ("MSMT17",)]
    )
    cfg.DATASETS[group] = ("folder:" + end.format(tmp_path),)
    with pytest.raises(
        ValueError, match=rf"DATASETS\.{group} holds .*" + said.replace("{}", str(tmp_path))
    ):
        check_config(cfg, 1, eval_only=False)


def spoil(path: Path, what: str) -> None:
    """Make something wrong with a set."""
    if what == "no train":
        shutil.rmtree(path / "train")
    elif what == "no query":
        shutil.rmtree(path / "query")
    elif what == "empty gallery":
        for file in (path / "gallery").iterdir():
            file.rename(file.with_suffix(".txt"))
    elif what == "one camera is missing":
        (path / "gallery/Bob_c2_9.png").rename(path / "gallery/Bob_2_9.png")
    elif what == "no match":
        for file in (path / "gallery").glob("Bob_*"):
            file.unlink()
    elif what == "no identity":
        (path / "query/_1.png").touch()
    elif what == "not read":
        (path / "gallery/Bob_c2_1.heic").touch()


@pytest.mark.parametrize(
    ("what", "error", "said"),
    [
        ("no train", FileNotFoundError, 'there is no folder "{}/train".*CSV'),
        ("no query", FileNotFoundError, 'there is no folder "{}/query".*CSV'),
        ("empty gallery", ValueError, 'there are no images in "{}/gallery"; they have.*.jpg'),
        (
            "one camera is missing",
            ValueError,
            'set: 1 of 16 images have no camera.*"{}/gallery/Bob_2',
        ),
        (
            "no match",
            ValueError,
            '1 of 4 queries have no valid match.*"{}/query/Bob_c1_8.png".*first _',
        ),
        ("no identity", ValueError, 'no identity in the file name of "{}/query/_1.png"'),
        ("not read", ValueError, '1 images in "{}/gallery" are of kinds.*Bob_c2_1.heic'),
    ],
)
def test_what_is_wrong_with_a_folder(
    cfg: Any, tmp_path: Path, what: str, error: type[Exception], said: str
) -> None:
    cfg.DATASETS.NAMES = (make(tmp_path / "set"),)
    spoil(tmp_path / "set", what)
    of_training = what == "no train"
    (name,) = cfg.DATASETS.NAMES
    # What is wrong with one part does not matter to who needs another.
    if of_training:
        checked_lists(cfg, name)
    else:
        assert len(train_items(cfg)) == 12
    with pytest.raises(error, match=said.replace("{}", str(tmp_path / "set"))) as caught:
        train_items(cfg) if of_training else checked_lists(cfg, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "error", "said"),
    [
        ("a.png,Bob,,query", FileNotFoundError, '1 of 1 query images of "{}" are absent: .*a.png'),
        ("set/query/Bob_c1_8.png,Bob,,query", ValueError, 'no line of "{}" has the split gallery'),
        (
            "set/query/Bob_c1_8.png,Bob,,query\nset/query/Bob_c1_8.png,Bob,,gallery",
            ValueError,
            "1 of 1 queries lie in the gallery too, under another camera",
        ),
    ],
)
def test_what_is_wrong_with_a_list(
    cfg: Any, tmp_path: Path, lines: str, error: type[Exception], said: str
) -> None:
    make(tmp_path / "set")
    path = tmp_path / "list.csv"
    path.write_text(f"path,identity,camera,split\n{lines}\n")
    with pytest.raises(error, match=said.replace("{}", str(path))):
        checked_lists(cfg, f"folder:{path}")
