"""<Name>Occluded and <Name>Partial of any data set: names, pictures, masks, made the same twice."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from partialreid.data.catalogue import is_data_set, load_dataset, split_name
from partialreid.derived.hidden import hidden_queries
from partialreid.derived.queries import Derivation
from tests.drawn_set import draw, make_set, pixels

pytestmark = pytest.mark.usefixtures("cache")


def made_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_names() -> None:
    assert split_name("DukeMTMCOccluded") == ("DukeMTMC", "Occluded")
    assert split_name("MSMT17Partial") == ("MSMT17", "Partial")
    assert split_name("Market1501PartialOccluded") == ("Market1501Partial", "Occluded")
    for name in ("Market1501", "Occluded", "Partial", "TypoOccluded", "DukeMTMCHidden"):
        assert split_name(name) is None
    assert is_data_set("DukeMTMCOccluded") and is_data_set("PartialREIDUncropped")
    assert not is_data_set("TypoPartial")


def test_the_old_name_of_the_uncropped_queries_is_refused_with_the_new_one(cfg: Any) -> None:
    assert not is_data_set("PartialREIDOccluded")
    with pytest.raises(KeyError, match="PartialREIDUncropped"):
        load_dataset(cfg, "PartialREIDOccluded")


def test_unknown_names_say_what_there_is(cfg: Any) -> None:
    with pytest.raises(KeyError) as caught:
        load_dataset(cfg, "TypoOccluded")
    for part in ("'TypoOccluded'", "DukeMTMC", "<name>Partial, <name>Occluded and <name>Small"):
        assert part in caught.value.args[0]


@pytest.mark.parametrize("suffix", ["Occluded", "Partial", "Small"])
def test_queries_alone_are_changed(cfg: Any, root: Path, suffix: str) -> None:
    whole = load_dataset(cfg, "DukeMTMC")
    data = load_dataset(cfg, f"DukeMTMC{suffix}")
    assert data.gallery == sorted(whole.gallery)
    assert sorted(data.train) == sorted(whole.train)
    assert [(Path(path).stem, *rest) for path, *rest in data.query] == [
        (Path(path).stem, *rest) for path, *rest in sorted(whole.query)
    ]
    assert type(data).__name__ == f"DukeMTMC{suffix}"
    data.show_test()
    assert all(Path(path).suffix == ".png" and Path(path).is_file() for path, *_ in data.query)


@pytest.mark.parametrize("kind", ["shapes", "pieces", "mixed"])
def test_masks_say_what_is_visible(cfg: Any, root: Path, kind: str) -> None:
    cfg.DATASETS.DERIVED.KIND, cfg.DATASETS.DERIVED.SHARE = kind, (25, 40)
    data = load_dataset(cfg, "DukeMTMCOccluded")
    folder = root / f"DukeMTMCOccluded-{kind}-25-40-seed0"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert str(root) not in json.dumps(manifest)
    kinds = Counter()
    for path, *_ in data.query:
        assert Path(path).parent == folder / "query"
        with Image.open(folder / "masks" / Path(path).name) as mask:
            assert mask.mode == "1"
            visible = np.asarray(mask)
        full = pixels(root / "DukeMTMC-reID" / "query" / f"{Path(path).stem}.jpg")
        image = pixels(path)
        np.testing.assert_array_equal(image[visible], full[visible])
        assert (image[~visible] != full[~visible]).any(-1).mean() > 0.85
        record = manifest["queries"][Path(path).name]
        kinds[record["hidden_by"]] += 1
        assert 0.25 <= 1 - visible.mean() <= 0.40
        assert record["hidden_share"] == pytest.approx(1 - visible.mean(), abs=1e-4)
    assert set(kinds) == ({"shapes", "pieces"} if kind == "mixed" else {kind})


def test_pieces_are_of_other_identities_of_the_test_part(cfg: Any, root: Path) -> None:
    cfg.DATASETS.DERIVED.KIND = "pieces"
    colours = {}
    for path in (root / "DukeMTMC-reID").rglob("*.jpg"):
        colour = (200, 0, len(colours) * 3) if path.parent.name.endswith("train") else None
        colours[path] = colour or (0, 9, len(colours) * 3)
        Image.new("RGB", (32, 64), colours[path]).save(path, format="PNG")
    data = load_dataset(cfg, "DukeMTMCOccluded")
    folder = root / "DukeMTMCOccluded-pieces-20-50-seed0"
    manifest = json.loads((folder / "manifest.json").read_text())
    for path, pid, _ in data.query:
        hidden = ~pixels(folder / "masks" / Path(path).name)
        (shown,) = {tuple(map(int, p)) for p in pixels(path)[hidden]}
        (source,) = (p for p, colour in colours.items() if colour == shown)
        assert source.parent.name in ("query", "bounding_box_test")
        assert int(source.name[:4]) != pid
        assert manifest["queries"][Path(path).name]["piece_of"] == (
            source.relative_to(root / "DukeMTMC-reID").as_posix()
        )


def test_corrected_labels_are_noticed(tmp_path: Path, make_config) -> None:
    """Else a piece of an image could hide the person whom it shows."""
    (tmp_path / "data").mkdir()
    for number in range(1, 5):
        pixels = np.full((64, 32, 3), 50 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")

    def hidden(people: str) -> Path:
        rows = [f"{n}.png,{p},{('gallery', 'query')[n % 2]}" for n, p in enumerate(people, 1)]
        (tmp_path / "set.csv").write_text("\n".join(["path,identity,split", *rows]))
        cfg = make_config("DATASETS.ROOT", str(tmp_path / "data"))
        cfg.DATASETS.DERIVED.KIND = "pieces"
        data = load_dataset(cfg, f"folder:{tmp_path / 'set.csv'}Occluded")
        return Path(data.query[0][0]).parents[1]

    folder = hidden("1122")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert hidden("3344") == folder  # the same people by other names
    with pytest.raises(RuntimeError, match="does not match the recipe"):
        hidden("1221")
    # What was made before recipes said who shows whom stays good.
    del manifest["recipe"]["people_sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert hidden("1122") == folder


def test_made_twice_alike_and_once_only(cfg: Any, tmp_path: Path, monkeypatch) -> None:
    folders = []
    for name in ("a", "12/b"):
        cfg.DATASETS.ROOT = str(make_set(tmp_path / name))
        random.seed(name)
        np.random.seed(len(name))
        for suffix in ("Occluded", "Partial"):
            load_dataset(cfg, f"DukeMTMC{suffix}")
        folders.append(Path(cfg.DATASETS.ROOT))
    for made, count in (
        ("DukeMTMCOccluded-mixed-20-50-seed0", 25),
        ("DukeMTMCPartial-window-60-90-seed0", 13),
    ):
        first, second = (made_files(folder / made) for folder in folders)
        assert first == second
        assert len(first) == count
    monkeypatch.setattr("partialreid.derived.hidden.read_image", None)
    monkeypatch.setattr("partialreid.derived.cuts.read_image", None)
    assert len(load_dataset(cfg, "DukeMTMCOccluded").query) == 12
    assert len(load_dataset(cfg, "DukeMTMCPartial").query) == 12


def test_a_drawn_occluder_depends_on_name_and_seed_alone(tmp_path: Path) -> None:
    root = make_set(tmp_path / "all")
    query = [(str(p), i, 0) for i, p in enumerate(sorted((root).glob("*/query/*.jpg")))]
    gallery = [(query[0][0], 99, 1)]
    drawn = Derivation(kind="shapes")
    everything = hidden_queries("One", str(tmp_path), query, gallery, drawn)
    few = hidden_queries("Two", str(tmp_path), query[3:4], gallery, drawn)
    other = hidden_queries("One", str(tmp_path), query[3:4], gallery, drawn._replace(seed=1))
    path = query[3][0]
    assert Path(few[path]).read_bytes() == Path(everything[path]).read_bytes()
    assert Path(other[path]).read_bytes() != Path(everything[path]).read_bytes()


def test_other_parameters_make_other_folders(cfg: Any, root: Path) -> None:
    for key, value in (
        ("DERIVED_SEED", 7),
        ("DERIVED.KIND", "shapes"),
        ("DERIVED.SHARE", (30, 40)),
        ("DERIVED.SIDES", "any"),
        ("DERIVED.PERCENT", (40, 50)),
        ("DERIVED.SIZE", (20, 25)),
    ):
        changed = cfg.clone()
        changed.merge_from_list([f"DATASETS.{key}", value])
        for suffix in ("Occluded", "Partial", "Small"):
            load_dataset(changed, f"DukeMTMC{suffix}")
    made = {path.name for path in root.iterdir() if path.name.startswith("DukeMTMC")}
    assert made == {
        "DukeMTMC-reID",
        "DukeMTMCOccluded-mixed-20-50-seed7",
        "DukeMTMCOccluded-shapes-20-50-seed0",
        "DukeMTMCOccluded-mixed-30-40-seed0",
        "DukeMTMCOccluded-mixed-20-50-seed0",
        "DukeMTMCPartial-window-60-90-seed7",
        "DukeMTMCPartial-window-60-90-seed0",
        "DukeMTMCPartial-any-60-90-seed0",
        "DukeMTMCSmall-30-60-seed7",
        "DukeMTMCSmall-30-60-seed0",
        "DukeMTMCSmall-20-25-seed0",
        "DukeMTMCPartial-window-40-50-seed0",
    }


def test_changed_test_images_are_noticed(cfg: Any, root: Path) -> None:
    load_dataset(cfg, "DukeMTMCOccluded")
    draw(root / "DukeMTMC-reID" / "bounding_box_test" / "0001_c2_f0000009.jpg")
    with pytest.raises(RuntimeError, match="does not match the recipe"):
        load_dataset(cfg, "DukeMTMCOccluded")
