"""The partial sets in both layouts, on made folders of the right shape."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from partialreid.images.reading import check_images
from partialreid.partial_dataset import (
    DATASET_REGISTRY,
    OccludedREID,
    PartialiLIDS,
    PartialREID,
    PartialREIDUncropped,
    PartialTestSet,
)

# class, query folder, gallery folder, file names of identity 1 and 2 with two shots each
LAYOUTS = [
    (
        PartialREID,
        "Partial_REID/partial_body_images",
        "Partial_REID/whole_body_images",
        "{id:03d}_{shot:03d}.jpg",
    ),
    (
        PartialREID,
        "Partial-REID_Dataset/partial_body_images",
        "Partial-REID_Dataset/whole_body_images",
        "{id:03d}_{shot:03d}.jpg",
    ),
    (
        PartialREIDUncropped,
        "Partial_REID/occluded_body_images",
        "Partial_REID/whole_body_images",
        "{id:03d}_{shot:03d}.jpg",
    ),
    (
        PartialREIDUncropped,
        "Partial-REID_Dataset/occluded_body_images",
        "Partial-REID_Dataset/whole_body_images",
        "{id:03d}_{shot:03d}.jpg",
    ),
    (PartialiLIDS, "PartialiLIDS/query", "PartialiLIDS/gallery", "{id}_{shot}.jpg"),
    (PartialiLIDS, "Partial_iLIDS/Probe", "Partial_iLIDS/Gallery", "{id:03d}.jpg"),
    (OccludedREID, "OccludedREID/query", "OccludedREID/gallery", "{id:03d}_{shot:02d}.jpg"),
    (
        OccludedREID,
        "Occluded_REID/occluded_body_images",
        "Occluded_REID/whole_body_images",
        "{id:03d}/{id:03d}_{shot:02d}.tif",
    ),
]
IDS = [f"{case[0].__name__}-{case[1].split('/')[0]}" for case in LAYOUTS]
REPACK_QUERY, REPACK_GALLERY = LAYOUTS[0][1:3]


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 10), (90, 40, 20)).save(path)


def partial_reid(root: Path, query: tuple[str, ...], gallery: tuple[str, ...]) -> Path:
    put(root / REPACK_QUERY, *query)
    put(root / REPACK_GALLERY, *gallery)
    return root


@pytest.mark.parametrize(("cls", "query", "gallery", "pattern"), LAYOUTS, ids=IDS)
def test_layouts(
    tmp_path: Path, cls: type[PartialTestSet], query: str, gallery: str, pattern: str
) -> None:
    # numbers above the images, as FastReID's search over the whole path would take them
    root = tmp_path / "77_88" / "5_c3"
    names = sorted({pattern.format(id=i, shot=s) for i in (1, 2) for s in (1, 2)})
    put(root / query, *names)
    put(root / gallery, *names, pattern.format(id=9, shot=1))

    data = DATASET_REGISTRY.get(cls.__name__)(root=str(root), combineall=False, unknown=1)
    per_id = len(names) // 2
    expected_ids = [1] * per_id + [2] * per_id
    assert data.query == [
        (str(root / query / name), pid, 0) for name, pid in zip(names, expected_ids)
    ]
    stranger = pattern.format(id=9, shot=1)
    assert data.gallery == [
        (str(root / gallery / name), pid, 1)
        for name, pid in zip([*names, stranger], [*expected_ids, 9])
    ]
    assert data.train == []
    check_images(data.query + data.gallery)


def test_suffixes_in_any_case_and_sorted(tmp_path: Path) -> None:
    query = ("003_1.TIF", "001_1.bmp", "004_1.jpeg", "002_1.PNG", "005_1.tiff")
    root = partial_reid(tmp_path, query, tuple(f"{i:03d}_2.JPG" for i in (5, 4, 3, 2, 1)))
    data = PartialREID(root=str(root))
    assert [Path(p).name for p, *_ in data.query] == sorted(query)
    assert [pid for _, pid, _ in data.query] == [1, 2, 3, 4, 5]
    assert [pid for _, pid, _ in data.gallery] == [1, 2, 3, 4, 5]


def test_flat_and_nested_folders_come_in_one_order(tmp_path: Path) -> None:
    ids = (10, 2, 1)
    for part in ("query", "gallery"):
        put(tmp_path / "OccludedREID" / part, *(f"{i:03d}_01.jpg" for i in ids))
    nested = tmp_path / "nested"
    for part in ("occluded", "whole"):
        folder = nested / "Occluded_REID" / f"{part}_body_images"
        # the names of these folders sort otherwise than the images
        put(folder, *(f"{'cab'[k]}/{i:03d}_01.tif" for k, i in enumerate(ids)))
    flat, deep = OccludedREID(root=str(tmp_path)), OccludedREID(root=str(nested))
    assert [i[1:] for i in deep.query] == [i[1:] for i in flat.query] == [(1, 0), (2, 0), (10, 0)]


def test_cameras_from_the_file_name(tmp_path: Path) -> None:
    root = partial_reid(tmp_path, ("001_001.jpg", "001_002.jpg"), ("001_001.jpg", "001_002.jpg"))
    data = PartialREID(root=str(root), cameras="filename")
    assert [item[1:] for item in data.query] == [(1, 1), (1, 2)]
    assert [item[1:] for item in data.gallery] == [(1, 1), (1, 2)]

    (root / REPACK_GALLERY / "001_002.jpg").unlink()
    assert len(PartialREID(root=str(root)).gallery) == 1
    with pytest.raises(ValueError, match=r"1 of 2 queries .*001_001.jpg.*TEST\.DSR\.CAMERAS"):
        PartialREID(root=str(root), cameras="filename")


def test_cameras_from_a_name_without_second_number(tmp_path: Path) -> None:
    for part in ("Probe", "Gallery"):
        put(tmp_path / "Partial_iLIDS" / part, "001.jpg")
    with pytest.raises(ValueError, match=r'Probe/001\.jpg.*TEST\.DSR\.CAMERAS to "constant"'):
        PartialiLIDS(root=str(tmp_path), cameras="filename")


def test_unknown_cameras_name_the_key_before_the_disk_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"TEST\.DSR\.CAMERAS.*'shots'"):
        PartialREID(root=str(tmp_path / "absent"), cameras="shots")


@pytest.mark.parametrize(
    ("cls", "first", "second"),
    [(LAYOUTS[i][0], LAYOUTS[i][1:3], LAYOUTS[i + 1][1:3]) for i in range(0, len(LAYOUTS), 2)],
)
def test_absent_set_names_both_layouts(
    tmp_path: Path, cls: type[PartialTestSet], first: tuple[str, str], second: tuple[str, str]
) -> None:
    put(tmp_path / first[0], "001_001.jpg")
    with pytest.raises(FileNotFoundError) as error:
        cls(root=str(tmp_path))
    message = str(error.value)
    for folder in (*first, *second):
        absent = folder != first[0]
        assert f'"{tmp_path / folder}"' + " (absent)" * absent in message
    assert "DATASETS.ROOT" in message
    assert "FASTREID_DATASETS" in message


def test_second_layout_where_the_first_is_not_complete(tmp_path: Path) -> None:
    put(tmp_path / REPACK_QUERY, "001_001.jpg")
    for part in ("partial", "whole"):
        put(tmp_path / "Partial-REID_Dataset" / f"{part}_body_images", "002_001.jpg")
    assert PartialREID(root=str(tmp_path)).query[0][1] == 2
    put(tmp_path / REPACK_GALLERY, "001_001.jpg")
    assert PartialREID(root=str(tmp_path)).query[0][1] == 1


def test_a_relative_root_names_full_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "datasets" / "PartialiLIDS")):
        PartialiLIDS()


def test_counts_other_than_published_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = partial_reid(tmp_path, ("001_001.jpg",), ("001_001.jpg", "002_001.jpg"))
    with caplog.at_level(logging.WARNING, "partialreid"):
        PartialREID(root=str(root))
    assert "found 2 identities, 1 query and 2 gallery" in caplog.text
    assert "published are 60, 300 and 300" in caplog.text


def test_published_counts_give_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for part in ("Probe", "Gallery"):
        folder = tmp_path / "Partial_iLIDS" / part
        folder.mkdir(parents=True)
        for pid in range(1, 120):
            (folder / f"{pid:03d}.jpg").touch()
    with caplog.at_level(logging.WARNING):
        data = PartialiLIDS(root=str(tmp_path))
    assert caplog.records == []
    assert len(data.query) == len(data.gallery) == 119


@pytest.mark.parametrize("empty", ["query", "gallery"])
def test_empty_part_is_an_error(tmp_path: Path, empty: str) -> None:
    root = partial_reid(tmp_path, ("001_001.jpg",), ("001_001.jpg",))
    folder = root / (REPACK_QUERY if empty == "query" else REPACK_GALLERY)
    (folder / "001_001.jpg").rename(folder / "001_001.txt")
    with pytest.raises(ValueError, match=f"the {empty} is empty.*{folder}.*\\.png"):
        PartialREID(root=str(root))


def test_queries_without_match_are_named(tmp_path: Path) -> None:
    names = tuple(f"{i:03d}_001.jpg" for i in range(1, 9))
    root = partial_reid(tmp_path, names, ("001_001.jpg",))
    with pytest.raises(ValueError) as error:
        PartialREID(root=str(root))
    assert "7 of 8 queries" in str(error.value)
    assert str(root / REPACK_QUERY / "002_001.jpg") in str(error.value)
    assert "008_001.jpg" not in str(error.value)


@pytest.mark.parametrize("name", ["person.jpg", "a_001_001.jpg", "_1.jpg", "12b_1.jpg", "-1_1.jpg"])
def test_name_without_identity_is_named(tmp_path: Path, name: str) -> None:
    root = partial_reid(tmp_path, ("001_001.jpg", name), ("001_001.jpg",))
    with pytest.raises(ValueError, match=f"no identity.*{REPACK_QUERY}/{name}"):
        PartialREID(root=str(root))


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        (PartialREID, (60, 300, 300)),
        (PartialREIDUncropped, (60, 300, 300)),
        (PartialiLIDS, (119, 119, 119)),
    ],
)
def test_real_sets_have_the_published_counts(
    data_root: Callable[..., Path], kind: type[PartialTestSet], counts: Any
) -> None:
    folders = [layout.query.partition("/")[0] for layout in kind.layouts]
    data = kind(root=str(data_root(*folders)))
    people = {pid for _, pid, _ in data.query}
    assert (len(people), len(data.query), len(data.gallery)) == counts
    assert people == {pid for _, pid, _ in data.gallery}
