"""The class PartialReID: what it finds is what an evaluation finds."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.data.catalogue import load_dataset
from partialreid.engine.checked_evaluation import checked_model, evaluated
from partialreid.engine.configuration import model_config
from partialreid.engine.model_file import write_calibration
from partialreid.images.reading import ImageError
from partialreid.search.answers import Answer
from partialreid.search.calibration import Calibration, Logistic
from partialreid.search.partial_reid import PartialReID

TOPK = 20  # half of the gallery


@pytest.fixture(scope="module")
def people(model_file: Path) -> tuple[list[str], list[str]]:
    """Query and gallery files of the set that the tiny network was evaluated on."""
    config = model_config(str(model_file), data_root(model_file))
    data = load_dataset(config, "SyntheticPartial")
    return [item[0] for item in data.query], [item[0] for item in data.gallery]


def data_root(model_file: Path) -> list[str]:
    return ["DATASETS.ROOT", str(model_file.parent / "data"), "MODEL.DEVICE", "cpu"]


@pytest.mark.parametrize("shortlist", ["none", "coarse", "global"])
def test_it_finds_what_the_evaluation_finds(
    shortlist: str, model_file: Path, people: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    keys = [*data_root(model_file), "TEST.DSR.SHORTLIST", shortlist, "TEST.DSR.TOPK", str(TOPK)]
    keys += ["TEST.DSR.LAMBDA_SELECTION", "fixed", "TEST.DSR.LAMBDA", "0.7"]
    keys += ["OUTPUT_DIR", str(tmp_path)]
    cfg = model_config(str(model_file), keys)
    items, evaluator = evaluated(cfg, checked_model(cfg), "SyntheticPartial")
    q_count = len(evaluator.distances["global"])
    place = {path: number for number, (path, *_) in enumerate(items[q_count:])}
    row = {path: number for number, (path, *_) in enumerate(items[:q_count])}
    queries, galleries = people
    model = PartialReID.load(model_file, *keys)
    answers = model.search(queries, model.gallery(galleries), k=5)
    for query, answer in zip(queries, answers, strict=True):
        assert answer.query == query and [match.rank for match in answer] == [1, 2, 3, 4, 5]
        wanted = evaluator.distances["fused"][row[query]]
        assert [match.distance for match in answer] == pytest.approx(
            wanted.sort().values[:5].tolist(), abs=1e-6
        )
        border = evaluator.distances["global"][row[query]].sort().values[TOPK - 1]
        for match in answer:
            for name, distance in match.distances.items():
                listed = evaluator.distances[name][row[query]]
                found = listed[place[match.path]]
                if distance != pytest.approx(float(found), abs=1e-6):
                    # Rounding decides which of two equally near images is the last of a shortlist.
                    assert shortlist != "none" and found > 10
                    if shortlist == "global":
                        assert match.distances["global"] == pytest.approx(float(border), abs=1e-6)
                    else:
                        assert (listed - distance).abs().min() < 1e-6


def test_pictures_of_all_kinds_give_the_same_answer(
    model: PartialReID, people: tuple[list[str], list[str]]
) -> None:
    gallery = model.gallery(people[1])
    path = people[0][0]
    image = Image.open(path).convert("RGB")
    array = np.asarray(image)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    wanted = model.search(path, gallery)
    for query in (image, array, tensor):
        answer = model.search(query, gallery)
        assert answer.query == ""
        assert [match.distances for match in answer] == [match.distances for match in wanted]


def test_embedded_pictures_are_in_their_order_whatever_their_size(
    model: PartialReID, people: tuple[list[str], list[str]]
) -> None:
    tall = Image.open(people[1][0]).convert("RGB")
    pictures = [tall, tall.crop((0, 0, tall.width, tall.height // 2)), tall]
    found = model.embed(pictures)
    assert found.features.shape == (3, 1280)
    torch.testing.assert_close(found.features.norm(dim=1), torch.ones(3))
    for n, columns in enumerate(found.columns):
        alone = model.embed(pictures[n])
        torch.testing.assert_close(columns, alone.columns[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.weights[n].sum(), torch.tensor(1.0))
        assert columns.shape == (1280, len(found.weights[n]))
    assert found.columns[1].shape[1] < found.columns[0].shape[1]


def test_what_cannot_be_read(
    model: PartialReID, people: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    files = [people[1][0], str(tmp_path / "text.jpg"), people[1][1]]
    with pytest.raises(ImageError, match=r"1 of 3 pictures cannot be read.*text\.jpg"):
        model.gallery(files)
    gallery = model.gallery(files, skip_unreadable=True)
    assert list(gallery.paths) == [files[0], files[2]]
    assert [Path(one.path).name for one in model.skipped] == ["text.jpg"]
    with pytest.raises(ImageError, match=r"text\.jpg"):
        model.search(files[1], gallery)
    with pytest.raises(ImageError, match="none of the pictures"):
        model.gallery([files[1]], skip_unreadable=True)
    with pytest.raises(ValueError, match="k is 0"):
        model.search(files[0], gallery, k=0)


def test_verdicts_come_from_the_calibration_in_the_file(
    model_file: Path, people: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    path = tmp_path / "known.safetensors"
    path.write_bytes(model_file.read_bytes())
    table = tmp_path / "gallery.csv"
    files = people[1][:6]
    lines = [f"{file},{Path(file).name.split('_')[0]}" for file in files]
    table.write_text("\n".join(["path,identity", *lines]))
    plain = PartialReID.load(path, "MODEL.DEVICE", "cpu")
    unsure = plain.search(people[0][0], plain.gallery(files), k=3)
    assert unsure.in_gallery is None
    assert {(match.probability, match.verdict) for match in unsure} == {(None, "unsure")}
    curve, by_margin = Logistic(2.0, -3.0), Logistic(1.0, -3.0, 40.0)
    known = Calibration("fused", curve, by_margin, curve, by_margin, "made up")
    write_calibration(str(path), known.as_plain())
    model = PartialReID.load(path, "MODEL.DEVICE", "cpu")
    answer = model.search(people[0][0], model.gallery(files), k=3)
    assert [m.distances for m in answer] == [m.distances for m in unsure]
    assert [m.probability for m in answer] == [curve(m.distance) for m in answer]
    assert answer.in_gallery == curve(answer[0].distance)
    # With identities, all of the list is looked at for the nearest other one.
    named = model.search(people[0][0], model.gallery(table), k=1)
    whole = model.search(people[0][0], model.gallery(table), k=6)
    first = whole[0].metadata["identity"]
    names = {m.metadata["identity"] for m in whole}
    other = min(m.distance for m in whole if m.metadata["identity"] != first)
    margin = other - whole[0].distance
    assert named[0].probability == pytest.approx(by_margin(whole[0].distance, margin))
    # What is known of a person is said of all pictures of it.
    of = [{m.probability for m in whole if m.metadata["identity"] == name} for name in names]
    assert len(whole) > len(names) > 1 and {len(found) for found in of} == {1}
    assert whole[0].probability == named[0].probability
    # Where hardly anybody is in the gallery, the first image says so, and it alone.
    absent = dataclasses.replace(known, present=Logistic(-9.0, 0.0), right=Logistic(-9.0, 0.0))
    write_calibration(str(path), absent.as_plain())
    model = PartialReID.load(path, "MODEL.DEVICE", "cpu")
    answer = model.search(people[0][0], model.gallery(files), k=3)
    assert [m.verdict for m in answer] == ["nobody", "other", "other"]
    # Two pictures are compared without a gallery.
    assert model.compare(people[0][0], files[0]).verdict == "other"


def test_an_index_answers_as_a_gallery_in_memory_does(
    model: PartialReID, people: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    queries, files = people[0][:5], people[1][:12]
    table = Path(files[0]).parent / "gallery.csv"
    names = [Path(file).name for file in files]
    lines = [f"{name},{name.split('_')[0]},{n}" for n, name in enumerate(names)]
    table.write_text("\n".join(["path,identity,number", *lines]))
    into = str(tmp_path / "people.index")
    with model.index(table, into) as index:
        assert len(index) == 12
        wanted = model.search(queries, model.gallery(table), k=12)
        found = model.search(queries, index, k=12)
        for memory, disk in zip(wanted, found, strict=True):
            # Columns are stored in float16.
            by_path = {match.path: match for match in memory}
            assert sorted(by_path) == sorted(match.path for match in disk)
            for match in disk:
                other = by_path[match.path]
                assert match.distances == pytest.approx(other.distances, abs=2e-4)
                assert match.metadata == other.metadata
        some = index.where(["number>=8"])
        assert len(some) == 4
        # A second selection is one of the first, in either order.
        for first, second in (("number>=8", "number<=9"), ("number<=9", "number>=8")):
            both = index.where([first]).where([second])
            assert {m.metadata["number"] for m in model.search(queries[0], both)} == {8, 9}
        none = index.where(["number>=8"]).where(["number<=7"])
        with pytest.raises(ValueError, match="empty: add pictures, or select by other conditions"):
            model.search(queries[0], none)
        few = model.search(queries[0], some, k=10)
        assert {match.metadata["number"] for match in few} == {8, 9, 10, 11}
        assert few[0].explain().size == index_picture(model, table, few, queries[0])
    # Nothing is extracted twice; what is gone is removed.
    table.write_text("\n".join(["path,identity,number", *lines[:7]]))
    calls: list[int] = []
    network = model.extractor.network
    model.extractor.network = lambda images: calls.append(len(images)) or network(images)
    with model.index(table, into) as index:
        assert len(index) == 7 and not calls
    table.write_text("\n".join(["path,identity,number", *lines[:8]]))
    with model.index(table, into) as index:
        assert len(index) == 8 and calls == [1]
    table.unlink()


def index_picture(model: PartialReID, table: Path, few: Answer, query: str) -> tuple[int, int]:
    """The size of the same explanation from a gallery in memory."""
    gallery = model.gallery([few[0].path, few[1].path])
    first = next(m for m in model.search(query, gallery) if m.path == few[0].path)
    return first.explain().size


def test_an_index_of_another_model_or_folder_is_refused(
    model: PartialReID, model_file: Path, people: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(people[1][0], tmp_path / folder)
    into = str(tmp_path / "a.index")
    model.index(tmp_path / "a", into).close()
    with pytest.raises(ValueError, match="name another index"):
        model.index(tmp_path / "b", into)
    other = PartialReID.load(model_file, "MODEL.DEVICE", "cpu", "INPUT.KEEP_RATIO", "off")
    with pytest.raises(ValueError, match="made by another model"):
        other.open(into)
    again = PartialReID.load(model_file, "MODEL.DEVICE", "cpu", "TEST.DSR.KAPPA", "0.01")
    again.open(into).close()  # what is extracted stays the same


def test_in_bfloat16_it_searches_the_same_index(
    model: PartialReID, model_file: Path, people: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    shutil.copytree(Path(people[1][0]).parent, tmp_path / "people")
    into = str(tmp_path / "people.index")
    model.index(tmp_path / "people", into).close()
    half = PartialReID.load(model_file, "MODEL.DEVICE", "cpu", "MODEL.INFERENCE_DTYPE", "bfloat16")
    for one, name in ((model, "float32"), (half, "bfloat16")):
        with one.open(into) as index:
            answer = one.search(people[1][0], index)
        assert answer.record["inference_dtype"] == name
        assert -1e-6 < answer[0].distance < 0.05
    ours, theirs = (one.embed(people[0][:3]) for one in (half, model))
    assert not torch.equal(ours.features, theirs.features)
    assert (ours.features * theirs.features).sum(1).min() > 0.99


def test_an_index_leaves_nothing_out_without_a_word(
    model: PartialReID, people: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    shutil.copy(people[1][0], tmp_path / "a.png")
    (tmp_path / "text.png").write_text("no image")
    table, into = tmp_path / "list.csv", str(tmp_path / "list.index")
    for absent in ("absent.png", "text.png"):
        table.write_text(f"path\na.png\n{absent}\n")
        with pytest.raises(ImageError, match=rf"1 of 2 pictures cannot be read.*{absent}"):
            model.index(table, into)
        with model.index(table, into, skip_unreadable=True) as index:
            assert [Path(path).name for path in index.paths] == ["a.png"]
        assert [Path(one.path).name for one in model.skipped] == [absent]
        assert absent in model.skipped[0].reason
