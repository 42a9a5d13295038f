"""Two pictures compared: the numbers of a search, and parts that sum to them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from partialreid.engine.model_file import write_calibration
from partialreid.images.reading import ImageError
from partialreid.search.calibration import Calibration, Logistic
from partialreid.search.partial_reid import PartialReID
from partialreid.search.parts import Window, picture_windows

CPU = ("MODEL.DEVICE", "cpu")
# What the matching's own float32 costs it, as in tests/matching/test_explained.py.
FLOAT32 = 5e-6


@pytest.fixture(scope="module")
def pictures(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """Half a person, and a gallery that holds the whole one."""
    people = sorted(next((model_file.parent / "data").glob("*/gallery")).iterdir())[:5]
    half = tmp_path_factory.mktemp("half") / "half.png"
    whole = Image.open(people[0]).convert("RGB")
    whole.crop((0, 0, whole.width, 2 * whole.height // 3)).save(half)
    return str(half), [str(person) for person in people]


def windows_of(size: tuple[int, int], cells: tuple[int, int]) -> list[tuple[float, ...]]:
    """The windows of the tiny network's columns, one after another: kernels 1 and 2, steps of 2."""
    width, height = size
    return [
        (
            left * width / cells[1],
            top * height / cells[0],
            (left + kernel) * width / cells[1],
            (top + kernel) * height / cells[0],
        )
        for kernel in (1, 2)
        for top in range(0, cells[0] - kernel + 1, 2)
        for left in range(0, cells[1] - kernel + 1, 2)
    ]


def holds(window: Window, wanted: tuple[float, ...]) -> bool:
    """Whether a window of whole pixels is the smallest that holds the wanted one."""
    outwards = (wanted[0] - window[0], wanted[1] - window[1])
    outwards += (window[2] - wanted[2], window[3] - wanted[3])
    return all(0 <= step < 1 for step in outwards)


@pytest.mark.parametrize(
    "keys",
    [
        ("TEST.DSR.SQUARED", "False"),
        ("TEST.DSR.SQUARED", "True"),
        ("TEST.DSR.CODES", "lasso", "TEST.DSR.LASSO_BETA", "0.1"),
        ("TEST.DSR.DISTANCE", "global", "TEST.DSR.LAMBDA", "0.3"),
    ],
    ids=" ".join,
)
def test_it_says_what_a_search_says_and_the_parts_sum_to_it(
    keys: tuple[str, ...], model_file: Path, pictures: tuple[str, list[str]]
) -> None:
    half, people = pictures
    model = PartialReID.load(model_file, *CPU, "TEST.DSR.SHORTLIST", "none", *keys)
    for match in model.search(half, model.gallery(people)):
        pair = model.compare(half, match.path)
        assert (pair.query, pair.gallery) == (half, match.path)
        assert pair.distances == pytest.approx(match.distances, abs=1e-6)
        assert pair.distance == pytest.approx(match.distance, abs=1e-6)
        near, matched, fused = (pair.distances[n] for n in ("global", "reconstruction", "fused"))
        assert fused == pytest.approx((1 - pair.lam) * near + pair.lam * matched, abs=1e-6)
        assert sum(part.share for part in pair.parts) == pytest.approx(matched, abs=FLOAT32)
        assert sum(part.weight for part in pair.parts) == pytest.approx(1)
        for part, same in zip(pair.parts, match.parts(), strict=True):
            assert part.share == pytest.approx(part.weight * part.residual)
            assert part.share == pytest.approx(same.share, abs=1e-6)
            assert (part.window, part.source) == (same.window, same.source)


@pytest.mark.parametrize("squared", [False, True])
def test_parts_against_a_plain_computation(
    squared: bool, model_file: Path, pictures: tuple[str, list[str]]
) -> None:
    half, people = pictures
    model = PartialReID.load(model_file, *CPU, "TEST.DSR.SQUARED", str(squared))
    pair = model.compare(half, people[1])
    query, gallery = model.embed(half), model.embed(people[1])
    q, g = (embedded.columns[0].double().numpy() for embedded in (query, gallery))
    codes = np.linalg.solve(g.T @ g + 1e-3 * np.eye(g.shape[1]), g.T @ q)
    residuals = np.linalg.norm(q - g @ codes, axis=0) ** (2 if squared else 1)
    places = {
        embedded: windows_of(Image.open(path).size, cells)
        for embedded, path, cells in (("query", half, (3, 2)), ("gallery", people[1], (4, 2)))
    }
    assert len(pair.parts) == len(residuals) == len(places["query"])
    assert len(places["gallery"]) == g.shape[1]
    for n, part in enumerate(pair.parts):
        assert part.weight == pytest.approx(float(query.weights[0][n]))
        assert part.residual == pytest.approx(residuals[n], abs=1e-6)
        assert part.share == pytest.approx(part.weight * residuals[n], abs=1e-6)
        assert holds(part.window, places["query"][n])
        brought = codes[:, n] * (g.T @ q[:, n])
        assert part.contribution == pytest.approx(brought.max(), abs=1e-6)
        assert part.source and holds(part.source, places["gallery"][int(brought.argmax())])


def test_a_picture_is_made_of_its_own_windows(
    model_file: Path, pictures: tuple[str, list[str]]
) -> None:
    model = PartialReID.load(model_file, *CPU, "TEST.DSR.KAPPA", "1e-6")
    pair = model.compare(pictures[1][0], Image.open(pictures[1][0]))
    assert pair.gallery == "" and pair.distances["reconstruction"] < 0.01
    assert [part.source for part in pair.parts] == [part.window for part in pair.parts]
    assert all(part.contribution == pytest.approx(1, abs=0.01) for part in pair.parts)


def test_where_nothing_is_brought_there_is_no_source(
    model_file: Path, pictures: tuple[str, list[str]]
) -> None:
    keys = ("TEST.DSR.CODES", "lasso", "TEST.DSR.LASSO_BETA", "10")  # so large that all codes are 0
    pair = PartialReID.load(model_file, *CPU, *keys).compare(pictures[0], pictures[1][0])
    assert {(part.source, part.contribution) for part in pair.parts} == {(None, 0.0)}
    assert pair.distances["reconstruction"] == pytest.approx(1)


def test_windows_of_a_picture_smaller_than_its_map() -> None:
    area = (Fraction(0), Fraction(0), Fraction(3), Fraction(5))
    windows = picture_windows((16, 8), (3, 5), area, (2, 4), 2)
    assert all(left < right and upper < lower for left, upper, right, lower in windows)
    assert windows[0] == (0, 0, 1, 1) and windows[-1] == (1, 3, 3, 5)


def test_windows_lie_in_what_was_cut_out(model_file: Path, pictures: tuple[str, list[str]]) -> None:
    """The middle half of the picture: a window of another quarter would be of what was not seen."""
    picture = Image.open(pictures[1][0]).convert("RGB")
    cut = (
        "INPUT.SIZE_TEST",
        "[128,64]",
        "INPUT.CROP.ENABLED",
        "True",
        "INPUT.CROP.SIZE",
        "[64,32]",
    )
    model = PartialReID.load(model_file, *CPU, *cut, "INPUT.KEEP_RATIO", "off")
    windows = [part.window for part in model.compare(picture, picture).parts]
    edges = [min(window[i] for window in windows) for i in (0, 1)]
    edges += [max(window[i] for window in windows) for i in (2, 3)]
    wanted = [picture.width / 4, picture.height / 4, picture.width * 3 / 4, picture.height * 3 / 4]
    assert edges == pytest.approx(wanted, abs=1)


def test_verdict_picture_and_plain_values(
    model_file: Path, pictures: tuple[str, list[str]], tmp_path: Path
) -> None:
    half, people = pictures
    path = tmp_path / "known.safetensors"
    path.write_bytes(model_file.read_bytes())
    unknown = PartialReID.load(path, *CPU).compare(half, people[0])
    assert (unknown.probability, unknown.verdict) == (None, "unsure")
    curve = Logistic(6.0, -3.0)
    known = Calibration("fused", curve, curve, curve, curve, "made up")
    write_calibration(str(path), known.as_plain())
    model = PartialReID.load(path, *CPU)
    pair = model.compare(half, people[0])
    match = model.search(half, model.gallery(people[0]))[0]
    assert (pair.probability, pair.verdict) == (match.probability, match.verdict)
    assert pair.probability == curve(pair.distance) and pair.verdict == "match"
    # No rival stands beside it.
    drawn = pair.explain()
    assert drawn.tobytes() == match.explain().tobytes()
    rows = model.search(half, model.gallery(people[:2]))[0].explain()
    assert drawn.height < rows.height
    plain = json.loads(json.dumps(pair.plain()))
    assert plain["distances"]["fused"] == pair.distance == plain["distance"]
    assert plain["lambda"] == pair.lam == 0.8
    assert (plain["query"], plain["gallery"], plain["verdict"]) == (half, people[0], "match")
    assert plain["parts"][0]["window"] == list(pair.parts[0].window)
    assert [part["share"] for part in plain["parts"]] == [part.share for part in pair.parts]


@pytest.mark.parametrize("wrong", ["folder", "text.jpg", "absent.jpg"])
@pytest.mark.parametrize("first", [True, False])
def test_what_is_no_picture(
    wrong: str,
    first: bool,
    model_file: Path,
    pictures: tuple[str, list[str]],
    tmp_path: Path,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.jpg").write_text("no image")
    model = PartialReID.load(model_file, *CPU)
    pair = [str(tmp_path / wrong), pictures[1][0]]
    with pytest.raises(ImageError, match=wrong):
        model.compare(*(pair if first else pair[::-1]))


def test_a_tensor_has_no_path(model_file: Path, pictures: tuple[str, list[str]]) -> None:
    pixels = torch.from_numpy(np.array(Image.open(pictures[0]).convert("RGB")))
    pair = PartialReID.load(model_file, *CPU).compare(pixels.permute(2, 0, 1), pictures[1][0])
    assert pair.query == "" and max(part.window[3] for part in pair.parts) == len(pixels)
