"""Identities and cameras of any kind become labels that tensors and samplers can hold."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.data.datasets.bases import ImageDataset

from partialreid.data.catalogue import load_dataset
from partialreid.images.labels import evaluation_lists, joined_training_lists, training_list
from partialreid.images.protocol_check import check_protocol


def test_people_of_two_sets_stay_apart() -> None:
    numbers = {"Shop": [("a.jpg", 5, 0)], "Street": [("b.jpg", 5, 0)]}
    labels = [(pid, camera) for _, pid, camera in joined_training_lists(numbers)]
    assert labels == [("Shop:5", "Shop:0"), ("Street:5", "Street:0")]
    # The name of a folder may hold whatever stands between name and label.
    folders = {"a": [("a.jpg", "b:c", 0)], "a:b": [("b.jpg", "c", 0), ("c.jpg", "b:c", 0)]}
    assert len({pid for _, pid, _ in joined_training_lists(folders)}) == 3
    # Wherever they lie, their people come in the order in which the sets are named.
    for names in (("folder:/b/x", "folder:/a/y"), ("folder:/a/x", "folder:/b/y")):
        lists = {name: [(f"{name}.jpg", 5, 0)] for name in names}
        joined = sorted(joined_training_lists(lists), key=lambda item: item[1])
        assert [path for path, *_ in joined] == [f"{name}.jpg" for name in names]
        assert not any("/" in str(label) for _, *labels in joined for label in labels)
    # FastReID's own labels hold the name of the set, and checkpoints count their classes by them.
    stock = {"A": [("a.jpg", "a_5", "a_0")], "B": [("b.jpg", "b_5", "b_0")]}
    assert joined_training_lists(stock) == [*stock["A"], *stock["B"]]
    with pytest.raises(ValueError, match=r"A and B, which have training images in common"):
        joined_training_lists({"A": [("a.jpg", 1, 0)], "B": [("a.jpg", 2, 0)]})


class OwnSet(ImageDataset):
    """A user's own set, whose constructor knows the data root alone."""

    query: ClassVar[list[tuple]] = [("q/a.jpg", "Anna", 1), ("q/b.jpg", 10**25, 1)]
    gallery: ClassVar[list[tuple]] = [
        ("g/a.jpg", "Anna", "door"),
        ("g/b.jpg", 10**25, "door"),
        ("g/c.jpg", np.int64(7), 1.0),
    ]

    def __init__(self, root: str) -> None:
        super().__init__([], list(self.query), list(self.gallery), mode="query")


def test_a_link_is_the_file_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    one, other = str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")
    with pytest.raises(ValueError, match="is listed as identity 1 and as identity 2"):
        evaluation_lists("Own", SimpleNamespace(query=[(one, 1, 0)], gallery=[(other, 2, 1)]))
    with pytest.raises(ValueError, match="which have training images in common"):
        joined_training_lists({"A": [(one, 1, 0)], "B": [(other, 2, 0)]})
    with pytest.raises(ValueError, match="1 of 1 queries lie in the gallery too"):
        check_protocol("Own", [(one, 1, 0)], [(other, 1, 1)])


def test_own_set_gets_no_private_keywords_and_any_labels(make_config, monkeypatch: Any) -> None:
    monkeypatch.setitem(DATASET_REGISTRY._obj_map, "OwnSet", OwnSet)
    query, gallery = evaluation_lists("OwnSet", load_dataset(make_config(), "OwnSet"))
    (anna, long), (same, again, seven) = ([pid for _, pid, _ in part] for part in (query, gallery))
    assert anna == same and long == again and seven == 7 and len({anna, long, seven}) == 3
    # Camera 1 of the queries is camera 1.0 of the gallery; the door is neither.
    cameras = [[camera for *_, camera in part] for part in (query, gallery)]
    assert cameras[0] == [1, 1] and cameras[1][2] == 1 and cameras[1][0] == cameras[1][1] != 1
    assert all(
        type(label) is int and abs(label) < 2**63 for _, *ls in query + gallery for label in ls
    )


def test_label_that_names_nobody_is_refused() -> None:
    data = SimpleNamespace(query=[("a.jpg", None, 0)], gallery=[])
    with pytest.raises(ValueError, match=r"Own, query: .*a\.jpg.*names nobody"):
        evaluation_lists("Own", data)


def listed(**lists: Any) -> Any:
    return SimpleNamespace(**{"train": [], "query": [], "gallery": [], **lists})


def test_paths_of_any_kind_are_text() -> None:
    for path in ("q/a.jpg", Path("q/a.jpg"), b"q/a.jpg", np.str_("q/a.jpg")):
        (item,) = training_list("Own", listed(train=[[path, "Anna", 0]]))
        assert item == ("q/a.jpg", "Anna", 0) and type(item[0]) is str
    rows = np.array([("q/a.jpg", 5, 0), ("q/b.jpg", 6, 0)], dtype=object)
    assert training_list("Own", listed(train=rows)) == [("q/a.jpg", 5, 0), ("q/b.jpg", 6, 0)]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (None, "NoneType is no list"),
        ((item for item in [("a.jpg", 1, 0)]), "generator is no list"),
        ([("a.jpg", 1)], r"\('a.jpg', 1\) is no \(path, identity, camera\)"),
        ([("a.jpg", 1, 0, 0)], r"is no \(path, identity, camera\)"),
        ([{"path": "a.jpg"}], r"is no \(path, identity, camera\)"),
        (["a.jpg"], r"'a.jpg' is no \(path, identity, camera\)"),
        ([(None, 1, 0)], r"\(None, 1, 0\) is no .*NoneType"),
        ([("", 1, 0)], "the path is empty"),
        ([("a.jpg", [1], 0)], "unhashable"),
        ([("a.jpg", float("nan"), 0)], "nan names nobody"),
        ([("a.jpg", 1, None)], "None names nobody"),
    ],
)
@pytest.mark.parametrize("part", ["train", "query", "gallery"])
def test_what_is_no_list_of_images_is_named(part: str, items: Any, said: str) -> None:
    make = training_list if part == "train" else evaluation_lists
    with pytest.raises(ValueError, match=rf"^Own, {part}: .*{said}"):
        make("Own", listed(**{part: items}))


def test_an_image_shows_one_person() -> None:
    """Under whatever path it is listed, and in whichever list."""
    data = listed(train=[("a.jpg", 1, 0), (os.path.abspath("a.jpg"), 2, 0)])
    with pytest.raises(ValueError, match=r"Own: .*a\.jpg\" is listed as identity .* and as"):
        training_list("Own", data)
    data = listed(query=[("a.jpg", "Anna", 0)], gallery=[("./a.jpg", "Bob", 1)])
    with pytest.raises(ValueError, match=r"listed as identity 'Anna' and as identity 'Bob'"):
        evaluation_lists("Own", data)
    twice = listed(train=[("a.jpg", 1, 0), ("a.jpg", np.int64(1), 0)])
    assert training_list("Own", twice) == [("a.jpg", 1, 0)] * 2
