"""FastReID's own sets: what they would lose or misread is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from partialreid.data.catalogue import load_dataset
from tests.drawn_set import draw, make_set


@pytest.fixture
def cfg(root: Path, make_config) -> Any:
    return make_config("DATASETS.ROOT", str(root))


@pytest.mark.parametrize("ending", [".png", ".JPG", ".jpeg", ".webp"])
@pytest.mark.parametrize("part", ["query", "bounding_box_test", "bounding_box_train"])
def test_images_that_a_stock_set_would_leave_out_are_refused(
    cfg: Any, root: Path, ending: str, part: str
) -> None:
    folder = root / "Market-1501-v15.09.15" / part
    first = min(folder.iterdir())
    first.rename(first.with_suffix(ending))
    with pytest.raises(ValueError, match=rf'leave out 1 images, 1 in "{folder}".*\{ending}'):
        load_dataset(cfg, "Market1501")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("1502_c1s1_000001_00.jpg", "identity 1502 of"),
        ("0031_c9s1_000001_00.jpg", "camera 9 of"),
    ],
)
def test_number_out_of_range_names_file_value_and_range(
    cfg: Any, root: Path, name: str, words: str
) -> None:
    folder = root / "Market-1501-v15.09.15" / "query"
    min(folder.iterdir()).rename(folder / name)
    with pytest.raises(ValueError, match=rf"{words} \".*{name}\" is outside [01] to \d+"):
        load_dataset(cfg, "Market1501")


def test_absent_market_names_the_folder_that_is_looked_for(cfg: Any, tmp_path: Path) -> None:
    cfg.DATASETS.ROOT = str(tmp_path / "nowhere")
    wanted = tmp_path / "nowhere" / "Market-1501-v15.09.15"
    with pytest.raises(FileNotFoundError, match=rf'there is no folder "{wanted}"'):
        load_dataset(cfg, "Market1501")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("0030_c1_f0000009.png", r"leave out 1 images, 1 in .*query.*\.png"),
        ("0030_c9_f0000009.jpg", r'camera 9 of ".*0030_c9_f0000009\.jpg" is outside 1 to 8'),
        ("0030_c12_f000009.jpg", r'camera 12 of ".*0030_c12_f000009\.jpg" is outside 1 to 8'),
        ("somebody.jpg", r"no identity and camera can be read .*somebody\.jpg"),
    ],
    # pytest names a folder by them, and FastReID reads an identity anywhere in a path.
    ids=["ending", "camera", "two digits", "name"],
)
def test_duke_likewise(cfg: Any, tmp_path: Path, name: str, said: str) -> None:
    root = make_set(tmp_path / "duke")
    cfg.DATASETS.ROOT = str(root)
    load_dataset(cfg, "DukeMTMC")
    draw(root / "DukeMTMC-reID" / "query" / name)
    with pytest.raises(ValueError, match=rf"^DukeMTMC: .*{said}"):
        load_dataset(cfg, "DukeMTMC")
