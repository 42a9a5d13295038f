"""The one model in the repository: what it is, and that it gives the figures that are published."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results_table import (
    BY_GALLERY_RESULTS,
    RESULTS,
    SETS,
    TO_FIT_RESULTS,
    TWO,
    read,
)
from partialreid.commands import evaluate, search
from partialreid.engine.configuration import model_config
from partialreid.engine.inference import load_model
from partialreid.engine.model_file import read_header
from partialreid.keys.released_model import RELEASED
from partialreid.search.calibration import from_plain
from partialreid.search.distance_settings import calibration_for
from partialreid.synthetic.dataset import SyntheticPartial
from tests.paths import ROOT
from tests.test_results_fit import differences

MODEL = ROOT / "models" / RELEASED
OURS = "ours"


def published(name: str) -> dict[str, Any]:
    """What `partialreid compare` found of it on a test set."""
    return read(BY_GALLERY_RESULTS)[OURS][name]


def to_fit(name: str, system: str = OURS) -> dict[str, Any]:
    """The same of its weights with images to fit, or of the model before it."""
    return read(TO_FIT_RESULTS)[system][name]


def test_it_is_small_and_alone() -> None:
    assert MODEL.stat().st_size <= 6e6
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kinds = (".pth", ".pt", ".safetensors", ".onnx", ".npz", ".bin")
    weights = [name for name in files.stdout.splitlines() if Path(name).suffix in kinds]
    conformance = [name for name in weights if name.startswith("tests/conformance/")]
    assert sorted(weights) == sorted([f"models/{RELEASED}", *conformance])
    assert all((ROOT / name).stat().st_size < 1e6 for name in conformance)


def test_what_it_says_of_itself() -> None:
    header = read_header(str(MODEL))
    assert header.record["data_sets"] == ["Market1501"]
    assert header.record["classes"] == 751 and header.record["held_out"] == 0
    assert header.config["MODEL"]["META_ARCHITECTURE"] == "ReconstructionBaseline"
    assert header.commit and not header.commit.endswith("-dirty")
    # No folder of anybody's machine.
    assert "/home" not in json.dumps(header.config) and "OUTPUT_DIR" not in header.config
    assert header.calibration is not None
    assert from_plain(header.calibration).kind == header.config["TEST"]["DSR"]["DISTANCE"]
    protocol, images = published("run")["protocol"], header.config["INPUT"]
    assert protocol["lambda"] == pytest.approx(header.config["TEST"]["DSR"]["LAMBDA"])
    assert protocol["keep_ratio"] == images["KEEP_RATIO"] == "gallery"
    assert protocol["detail"] == images["DETAIL"] == 0.5


def test_the_card_has_its_figures() -> None:
    fused = [published(name)["fused"] for name in SETS]
    cells = " | ".join(f"{x['Rank-1']:.1f} / {x['mAP']:.1f}" for x in fused)
    assert f"| {cells} |" in card()
    assert f"lambda {published('run')['protocol']['lambda']:.2f}, with images [by the" in card()


def other_storage(file: str, name: str, system: str = OURS) -> dict[str, Any]:
    """What the same mean of weights finds, stored in float32 or float16."""
    found: dict[str, Any] = read(RESULTS / f"{file}.json")[name]
    of_file = to_fit("run", system)
    assert of_file["trainings"] == found["run"]["trainings"]
    assert of_file["protocol"]["lambda"] == found["run"]["protocol"]["lambda"]
    return found


def card() -> str:
    return " ".join((ROOT / "models" / "README.md").read_text(encoding="utf-8").split())


def test_its_two_bytes_move_no_figure_as_far_as_was_allowed() -> None:
    """Against float32, by every distance on every set of the table."""
    most = max(
        map(abs, differences(to_fit, other_storage("float32", "float32").__getitem__).values())
    )
    assert 0 < most <= 0.1
    said = math.ceil(100 * most) / 100
    assert f"is more than {said:.2f} from [the same mean in float32]" in card()


def test_the_card_says_how_often_it_is_wrong() -> None:
    wrong = [100 - published(name)["fused"]["Rank-1"] for name in list(SETS)[:3]]
    assert f"in {min(wrong):.0f} to {max(wrong):.0f} % of them on the real partial sets" in card()


def test_what_two_bytes_move_is_its_record() -> None:
    path = ROOT / "docs" / "results" / "two_bytes.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "model_file.md").read_text(encoding="utf-8").replace("**", "")
    for one, other in zip(found["original"]["rows"], found["released"]["rows"], strict=True):
        assert one["weights"] == other["weights"]
        moved = f" | {one['columns move by']} | {other['columns move by']} |"
        (line,) = [x for x in page.splitlines() if x.startswith(f"| {one['weights']}")]
        assert line.endswith(moved)


def test_float16_moved_its_figures_as_its_page_says() -> None:
    """The model before this one: a query of each of two sets, which have few, 119 and 300."""
    found = differences(
        *(other_storage("float16", name, TWO).__getitem__ for name in ("float32", "float16"))
    )
    moved = {("PartialiLIDS", "fused"): 119, ("PartialREIDUncropped", "reconstruction"): 300}
    for key, queries in moved.items():
        assert found.pop((*key, "Rank-1")) == pytest.approx(100 / queries)
        m_ap = found.pop((*key, "mAP"))
        assert 0 < m_ap < 100 / queries
        assert re.search(rf"\({100 / queries:.2f}( points of Rank-1)?, {m_ap:.2f}\b", card()), key
    assert max(map(abs, found.values())) < 0.01


def test_it_is_found_by_its_name_and_by_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (RELEASED, ""):
        cfg = model_config(name, ["MODEL.DEVICE", "cpu"])
        assert Path(cfg.MODEL.WEIGHTS) == MODEL
    network = load_model(cfg, cfg.MODEL.WEIGHTS)
    assert sum(p.numel() for p in network.parameters()) < 3e6
    with pytest.raises(ValueError, match=rf'"other.safetensors" is not there.*{RELEASED}'):
        model_config("other.safetensors", [])


def test_its_verdicts_are_of_its_own_settings(caplog: pytest.LogCaptureFixture) -> None:
    cpu = ["MODEL.DEVICE", "cpu"]
    assert calibration_for(model_config("", cpu)) is not None and not caplog.records
    assert calibration_for(model_config("", [*cpu, "TEST.DSR.LAMBDA", "0.5"])) is None
    assert "was learnt with TEST.DSR.LAMBDA 0.95, here 0.5" in caplog.text


def test_the_page_says_how_far_its_verdicts_can_be_trusted() -> None:
    page = (ROOT / "docs" / "own_pictures.md").read_text(encoding="utf-8")
    for name, cameras, people in (
        ("released", "other cameras", "other cameras (CUHK03-val) | 300"),
        (
            "twin",
            "the training's cameras",
            "the training's cameras (Market-1501, held out), a twin of the model before | 99",
        ),
    ):
        path = ROOT / "docs" / "results" / "calibration" / f"{name}.json"
        found = json.loads(path.read_text(encoding="utf-8"))["report"]
        share = {key: f"{100 * value:.1f} %" for key, value in found.items()}
        first = (f"{found['auc']:.2f}", share["calibration_error_in_gallery"])
        first += (share["calibration_error"], f"{100 * found['false_alarms']:.0f} %")
        assert f"| {people} | {' | '.join(first)} |" in page
        listed = ("listed_right", "listed_said", "calibration_error_listed")
        listed += ("listed_said_without_margin", "calibration_error_listed_without_margin")
        assert f"| {cameras} | {' | '.join(share[key] for key in listed)} |" in page


@pytest.mark.slow
def test_a_stranger_finds_drawn_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No training, no config, no model is named; of ten people chance finds one in ten."""
    monkeypatch.chdir(tmp_path)
    drawn = SyntheticPartial(str(tmp_path / "data"), synthetic_train_ids=2, synthetic_test_ids=10)
    Path("crops").symlink_to(Path(drawn.gallery[0][0]).parent)
    queries = [path for path, *_ in drawn.query[::2]]
    assert (
        search.main(
            [*queries, "--gallery", "crops", "--out", "answer", "-k", "3", "--explain", "1"]
        )
        == 0
    )
    assert "<html" in Path("answer/index.html").read_text(encoding="utf-8")
    answers = json.loads(Path("answer/answers.json").read_text())["answers"]
    assert len(answers) == len(queries) == 20
    right = sum(
        Path(one["query"]).name[:4] == Path(one["matches"][0]["path"]).name[:4] for one in answers
    )
    assert right >= 14


@pytest.mark.slow
def test_it_gives_the_published_figures(data_root: Callable[..., Path], tmp_path: Path) -> None:
    name, root = "PartialiLIDS", data_root("Partial_iLIDS/Probe")
    keys = ["DATASETS.ROOT", str(root), "DATASETS.TESTS", f"('{name}',)"]
    keys += ["OUTPUT_DIR", str(tmp_path), "MODEL.DEVICE", "cpu"]
    assert evaluate.main(["--model", str(MODEL), *keys]) == 0
    found = json.loads((tmp_path / "results.json").read_text())[name]
    for distance in ("global", "reconstruction", "fused"):
        for metric, value in published(name)[distance].items():
            assert f"{found[distance][metric]:.2f}" == f"{value:.2f}", (distance, metric)
