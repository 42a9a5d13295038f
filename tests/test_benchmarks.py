"""The benchmarks measure what they say: the baseline, the fit, and that each program runs."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import (
    bench,
    checkouts,
    distances,
    evaluation,
    extraction,
    index,
    index_kills,
    inverted_lists,
    matching_stage,
    million,
    network,
    predict,
    query_dtype,
    ranking,
    recall,
    scale,
    shards,
    training,
)
from benchmarks.original_loop import original_loop
from partialreid.index import inverted_lists as lists_of_index
from partialreid.index import rough_search, two_passes
from partialreid.matching.coarse import CoarseIndex
from partialreid.matching.pyramid import KERNELS, STRIDE, pyramid_columns
from partialreid.search.extraction import Embedded
from partialreid.search.partial_reid import PartialReID
from tests.conformance_columns import recorded_distances
from tests.matching.test_coarse import space
from tests.reconstruction_oracle import features, oracle, weights_of
from tests.search.conftest import model_file  # noqa: F401

PROGRAMS = sorted(
    path.stem
    for path in Path(bench.__file__).parent.glob("*.py")
    if '__name__ == "__main__"' in path.read_text()
)


@pytest.fixture(autouse=True)
def small_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    return tmp_path


def result(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())


def test_baseline_is_the_originals_distance() -> None:
    query, gallery, _, weights, wanted = recorded_distances()
    shortlist = (wanted != 100).nonzero()[:, 1].view(len(wanted), -1)
    got = original_loop(query, gallery, weights, shortlist)
    torch.testing.assert_close(got, wanted.gather(1, shortlist), atol=1e-4, rtol=0)


def test_baseline_equals_the_oracle() -> None:
    query, gallery, weights = features(1, 3, 32, 5), features(2, 4, 32, 7), weights_of(3, 3, 5)
    every = torch.arange(4).expand(3, -1)
    got = original_loop(query, gallery, weights, every).double()
    torch.testing.assert_close(got, oracle(query, gallery, weights), atol=1e-5, rtol=0)


def test_distances(small_results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "SHAPES", {"small": (32, 9)})
    for name, value in {"QUERIES": 6, "GALLERIES": 10, "SHORTLIST": 4, "ORACLE": (6, 8)}.items():
        monkeypatch.setattr(distances, name, value)
    distances.main()
    record = result(small_results, "distances_32x9")
    assert [row["pairs"] for row in record["rows"]] == [60, 60, 24, 16]
    assert record["machine"]["torch"] == torch.__version__
    assert 0 < record["errors"]["random images"] < 1e-5
    assert record["errors"]["copies of queries in the gallery"] < 1e-4


def test_ranking(small_results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "IMAGES", 60)
    monkeypatch.setattr(ranking, "IDENTITIES", 20)
    ranking.main()
    assert result(small_results, "ranking")["equal"] is True


def test_evaluation(small_results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"IMAGES": 20, "CHANNELS": 16, "COLUMNS": 6, "TOPK": 5}.items():
        monkeypatch.setattr(evaluation, name, value)
    evaluation.main()
    assert result(small_results, "evaluation")["largest_difference_to_loop"] < 1e-4


def test_network(small_results: Path) -> None:
    keys = ["MODEL.DEVICE", "cpu", "MODEL.BACKBONE.DEPTH", "0.25x"]
    network.main([*keys, "--images", "2", "--rounds", "1"])
    found = result(small_results, "network")
    plain, folded, half = found["rows"]
    assert [row["network"] for row in found["rows"]] == [network.PLAIN, *network.DTYPES]
    assert plain["times"] == 1 and folded["times"] > 0 < half["times"]
    largest = "largest difference in columns of unit length"
    assert plain[largest] == 0 < folded[largest] < 1e-4 < half[largest] < 0.2
    assert 0.9 < half["smallest cosine of features"] < folded["smallest cosine of features"]
    assert found["auto"] in ("float32", "bfloat16") and found["machine"]["torch"]


def test_query_dtype_by_hand() -> None:
    exact = np.array([[0.1, 0.2, 0.5], [0.3, 0.25, 0.6]])
    ours = np.array([[0.1, 0.2, 0.5], [0.3, 0.35, 0.6]])
    found = query_dtype.compared(ours, exact, (np.array([4, 5]), np.array([4, 5, 6])))
    assert found == pytest.approx(
        {
            "mean difference": 0.1 / 6,
            "99 % below": 0.095,
            "largest": 0.1,
            "median lead of the first": 0.075,
            "first answers that change, %": 50,
            "Rank-1": 50,
            "Rank-1, float32": 100,
        }
    )


@pytest.mark.slow
def test_query_dtype(small_results: Path, model_file: Path) -> None:  # noqa: F811
    keys = ["DATASETS.ROOT", str(model_file.parent / "data"), "MODEL.DEVICE", "cpu"]
    query_dtype.main(["--model", str(model_file), *keys])
    rows = result(small_results, "query_dtype")["rows"]
    assert [row["distance"] for row in rows] == list(query_dtype.KINDS)
    for row in rows:
        # Three digits of the map; of nothing else.
        assert 0 < row["mean difference"] < row["99 % below"] <= row["largest"] < 0.05


@pytest.mark.slow
def test_extraction(small_results: Path) -> None:
    keys = ["MODEL.DEVICE", "cpu", "MODEL.BACKBONE.DEPTH", "0.25x"]
    extraction.main([*keys, "--images", "3", "--rounds", "1"])
    rows = result(small_results, "extraction")["rows"]
    ways = [extraction.IN_TURN, extraction.PROCESSES, extraction.THREADS]
    threads = sorted({1, torch.get_num_threads()})
    together = [f"{processes} processes" for processes in threads]
    assert [row["what"] for row in rows] == [extraction.ALONE, *ways, *together]
    assert all(row["images/s"] > 0 for row in rows)
    alone, *others = (row["of the network alone"] for row in rows[:4])
    assert alone == 1 and all(share > 0 for share in others)


@pytest.mark.slow
def test_training(small_results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"IMAGES": 8, "ROUNDS": 1}.items():
        monkeypatch.setattr(training, name, value)
    training.main()
    found = result(small_results, "training")
    assert len(found["rows"]) == len(training.STEPS) + 4
    assert 0 < found["share_of_the_loss"] < 1
    assert 0 < found["share_of_24_columns"] < 1
    assert 0 < found["share_of_its_products"] < 1
    assert found["times_as_fast_as_before"] > 0


def test_columns_as_they_were_before_have_the_same_numbers() -> None:
    features = torch.rand(2, 5, 16, 8)
    found, first = training.plain_columns(features, KERNELS, STRIDE, "max")
    wanted, count = pyramid_columns(features)
    assert torch.equal(found, wanted) and first == count


def test_scale_and_shards(small_results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"QUERIES": 5, "TOPK": 4, "CHANNELS": 16, "COLUMNS": 6}.items():
        monkeypatch.setattr(scale, name, value)
    monkeypatch.setattr(scale, "SIZES", (20, 40, 700))
    monkeypatch.setattr(scale, "UNSHARED", 10)
    scale.main()
    rows = result(small_results, "scale")["rows"]
    assert [row["galleries"] for row in rows] == [20, 40, 700]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_help_is_no_run(name: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    assert ended.value.code == 0 and "usage:" in capsys.readouterr().out


def test_a_prediction_without_a_measurement_is_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        predict.main([str(tmp_path / "absent.json")])
    assert "run python -m benchmarks.scale" in capsys.readouterr().err


def test_prediction_grows_with_the_gallery() -> None:
    fit = {
        "index, s per gallery image": 0.001,
        "search, s per pair": 1e-7,
        "sort, s per pair": 1e-7,
        "exact, s per unshared image": 0.002,
    }
    small, large = (predict.on_this_machine(fit, g) for g in (1e6, 1e8))
    assert small == pytest.approx(
        {"index, hours": 1000 / 3600, "search, ms": 200.0, "exact, ms": 200.0}
    )
    assert large["search, ms"] == pytest.approx(100 * small["search, ms"])
    assert large["exact, ms"] == small["exact, ms"]
    one, eight = (predict.on_gpus(1e8, n) for n in (1, 8))
    assert one["search, ms"] == pytest.approx(8 * eight["search, ms"])


def test_fit_finds_the_coefficients() -> None:
    rows = [
        {
            "galleries": g,
            "index, s": 3.0 + 0.002 * g,
            "search, s": 0.5 + scale.QUERIES * g * 1e-6,
            "sort, s": scale.QUERIES * g * 2e-7,
            "global, s": scale.QUERIES * g * 3e-7,
            "exact, s": scale.QUERIES * scale.TOPK * 1e-4,
            "unshared, s": scale.UNSHARED * 4e-3,
        }
        for g in (500, 1000, 2000, 5000)
    ]
    fitted = scale.fit(rows)
    assert fitted["index, fixed s"] == pytest.approx(3.0)
    assert fitted["index, s per gallery image"] == pytest.approx(0.002)
    assert fitted["exact, s per shortlisted pair"] == pytest.approx(1e-4)
    assert fitted["exact, s per unshared image"] == pytest.approx(0.004)
    assert fitted["search, fixed s"] == pytest.approx(0.5)
    assert fitted["search, largest relative error"] < 1e-9


def test_recall_counts_and_truncation() -> None:
    rough = torch.tensor([[0.0, 1.0, 2.0, 3.0] + [9.0] * 40])
    nearest = torch.tensor([[0, 30]])
    found = recall.recalls(rough, nearest)
    assert found["K=20"] == 0.5
    assert found["K=50"] == 1.0
    gallery = features(1, 6, 24, 5)
    index = CoarseIndex(space(gallery, 8, 0.3), gallery)
    whole = index.levels * index.scale[:, None] + index.space.mean
    torch.testing.assert_close(recall.truncated(index, 8), whole, atol=1e-5, rtol=1e-5)
    assert (recall.truncated(index, 2) - whole).abs().max() > 1e-3
    light = recall.lightest_dropped([torch.tensor([0.1, 0.4, 0.3, 0.2])], 0.5)
    assert light[0].tolist() == pytest.approx([0.0, 0.4, 0.3, 0.0])


ENGINES = ["sqlite", pytest.param("lance", marks=pytest.mark.needs("lancedb", "lance"))]


@pytest.mark.parametrize("engine", ENGINES)
def test_index(
    engine: str, small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"CHANNELS": 16, "COLUMNS": 6, "DIFFERENT": 10, "COMMIT": 8, "ADDED": 5, "TOPK": 4}
    for name, value in small.items():
        monkeypatch.setattr(index, name, value)
    monkeypatch.setattr(index, "searching", index.search)
    folder = tmp_path / "room"
    folder.mkdir()
    index.main(["--images", "30", "--engines", engine, "--folder", str(folder)])
    found = result(small_results, "index")
    (row,) = found["rows"]
    assert row["engine"] == engine and row["removing 5, s"] > 0 and row["MB"] > 0
    assert len(found["searches"]) == (2 if engine == "sqlite" else 0)
    assert not list(folder.iterdir()), "nothing is left behind"


@pytest.mark.parametrize("name", ENGINES)
def test_both_engines_hold_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every engine gives back what the other does, so that the same is measured."""
    for key, value in {"CHANNELS": 16, "COLUMNS": 6, "DIFFERENT": 10}.items():
        monkeypatch.setattr(index, key, value)
    (batch,) = index.Drawn().records(0, 30)
    engine = index.ENGINES[name](tmp_path)
    engine.create()
    engine.open()
    engine.add(batch)
    wanted = torch.stack([batch[row].columns for row in (3, 20)])
    assert torch.equal(engine.columns([3, 20]).view(2, 16, 6), wanted)
    assert engine.codes().shape[0] == 30 and engine.codes().dtype == torch.int8
    assert engine.select() == 4
    engine.remove([batch[3].name, batch[4].name])
    assert engine.codes().shape[0] == 28 and engine.select() == 3
    engine.close()


@pytest.mark.slow
def test_kills_are_counted_and_losses_found(
    small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a process needs its time until it writes.
    monkeypatch.setattr(index_kills, "LEAST", 0.3)
    index_kills.main(["--kills", "6"])
    (row,) = result(small_results, "index_kills")["rows"]
    assert sum(value for name, value in row.items() if name.startswith("killed in")) == 6
    assert row["acknowledged changes"] > 0 and row["lost or damaged"] == 0
    honest = index_kills.carry_out
    monkeypatch.setattr(
        index_kills, "carry_out", lambda held, change: change[0] == "put" and honest(held, change)
    )
    row = index_kills.run(60, str(tmp_path / "crops.index"), print)
    assert "is neither" in row["lost or damaged"][0]


def test_million(small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, query, weights = features(1, 40, 16, 6), features(2, 5, 16, 6), weights_of(3, 5, 6)
    fitted = space(gallery, 8, 0.3)
    codes, vectors = fitted.packed(gallery, range(40)), fitted.query_vectors(query, weights)
    monkeypatch.setattr(million, "real_codes", lambda: million.Real(fitted, codes, vectors))
    monkeypatch.setattr(
        million, "searching", lambda path, kept: million.search(path, million.loaded(kept))
    )
    for name, value in {"OF_A_COMMIT": 100, "GLOBAL": 4, "PUT": 8, "TOPK": 5}.items():
        monkeypatch.setattr(million, name, value)
    for module in (million, index):
        for name, value in {"CHANNELS": 16, "COLUMNS": 6}.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(index, "DIFFERENT", 10)
    monkeypatch.setattr(index, "COMMIT", 8)
    monkeypatch.setattr(two_passes, "LEAST", 50)
    monkeypatch.setattr(rough_search, "MANY", 2)
    monkeypatch.setattr(million, "BANDWIDTH_BYTES", 2**16)
    folder = tmp_path / "room"
    folder.mkdir()
    million.main(["--images", "900", "--added", "20", "--folder", str(folder)])
    (row,) = result(small_results, "million")["rows"]
    assert row["images"] == 900 and row["one alone, ms"] > 0 and row["adding 20, s"] > 0
    assert 0.9 <= row["recall of float32, same bytes"] <= 1
    assert not list(folder.iterdir()), "nothing is left behind"


def test_real_codes_are_those_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "Market-1501-v15.09.15"
    for folder, count in (("bounding_box_test", 12), ("query", 4)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            path = root / folder / f"{number:04}_c1s1_000001_00.jpg"
            Image.new("RGB", (8, 20), (20 * number, 0, 0)).save(path)
    asked: list[list[object]] = []

    class Model:
        def embed(self, pictures: list[object]) -> Embedded:
            asked.append(pictures)
            columns = features(len(asked), len(pictures), 16, 6)
            return Embedded(columns[:, :, 0], list(columns), list(weights_of(1, len(pictures), 6)))

    monkeypatch.setenv("FASTREID_DATASETS", str(tmp_path))
    monkeypatch.setattr(PartialReID, "load", lambda *options: Model())
    kept = str(tmp_path / "real.pt")
    monkeypatch.setattr(million, "real_codes", lambda of=million.real_codes: of(6, 4))
    million.keep(kept)
    real = million.loaded(kept)
    assert real.codes.shape == (6, len(real.space.mean)) and real.queries.shape[0] == 4
    heights = [picture.size[1] for picture in asked[-1]]
    assert heights == [20, 12, 20, 12], "every other one is cut"
    million.keep(kept)
    assert len(asked) == 3, "they are kept"


def test_made_up_codes_have_the_statistics_of_real_ones() -> None:
    gallery = features(1, 60, 16, 6)
    fitted = space(gallery, 4, 0.3)
    codes = fitted.packed(gallery, range(60))
    made = million.made_up(million.Real(fitted, codes, codes), 0, 40000) + fitted.mean
    torch.testing.assert_close(made.mean(0), codes.mean(0), atol=0.03 * float(codes.std()), rtol=0)
    covariance, wanted = (some.T.cov(correction=0) for some in (made, codes))
    torch.testing.assert_close(covariance, wanted, atol=0.05 * float(wanted.max()), rtol=0)


def test_matching_stage(small_results: Path) -> None:
    matching_stage.main(["--share", "200"])
    found = result(small_results, "matching_stage")
    rows = {row["part"]: row for row in found["rows"]}
    bare = [rows[f"bare product, {when}"]["times bare product"] for when in ("before", "behind")]
    assert sum(bare) == pytest.approx(2)
    assert rows["matching: space, search, exact distances"]["s"] > 0
    assert found["rank_1"] > 50, "the made-up people are found again"


def checkout(root: Path, said: str) -> Path:
    """A folder whose train_net.py writes results, or fails where nothing is said."""
    (root / checkouts.PROJECT).mkdir(parents=True)
    (root / checkouts.PROJECT / "train_net.py").write_text(
        "import json, pathlib, sys\n"
        f"said = {said!r}\n"
        "if not said: sys.exit('nothing to say')\n"
        "folder = pathlib.Path(sys.argv[-1])\n"
        "kinds = ('global', 'reconstruction', 'fused')\n"
        "figures = {'Rank-1': len(sys.argv), 'mAP': 0}\n"
        "results = {said: dict.fromkeys(kinds, figures), 'run': {}}\n"
        "(folder / 'results.json').write_text(json.dumps(results))\n"
    )
    return root


def test_two_checkouts_are_compared(
    small_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkouts, "ROOT", checkout(tmp_path / "here", "Set"))
    other = checkout(tmp_path / "other", "Set")
    words = ["--other", str(other), "--config-file", "a.yml", "--here", "KEY", "1", "B", "2"]
    checkouts.main(words)
    there, here = result(small_results, "checkouts")["rows"]
    assert (there["checkout"], here["checkout"]) == ("the other", "this")
    assert there["of the other"] == 1 and here["s"] > 0
    # Both get the common keys, this one its own as well.
    assert here["fused, Rank-1"] == there["fused, Rank-1"] + 2
    monkeypatch.setattr(checkouts, "ROOT", checkout(tmp_path / "broken", ""))
    with pytest.raises(RuntimeError, match=r"broken.* failed:\nnothing to say"):
        checkouts.main(words)


def test_inverted_lists(small_results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, query, weights = features(1, 40, 16, 6), features(2, 5, 16, 6), weights_of(3, 5, 6)
    fitted = space(gallery, 8, 0.3)
    codes, vectors = fitted.packed(gallery, range(40)), fitted.query_vectors(query, weights)
    real = million.Real(fitted, codes, vectors)
    monkeypatch.setattr(inverted_lists, "real_codes", lambda: real)
    for name, value in {"OF_A_COMMIT": 100, "TOPK": 5, "FIRST": 2}.items():
        monkeypatch.setattr(inverted_lists, name, value)
    monkeypatch.setattr(two_passes, "LEAST", 50)
    monkeypatch.setattr(lists_of_index, "LISTS", 1)
    inverted_lists.main(["--images", "950", "--times", "1", "2", "--shares", "0.1", "1"])
    found = result(small_results, "inverted_lists")
    none, few, every = found["rows"][:3]
    assert none["recall@5"] == 1 and few["probes"] == 3 and every["probes"] == 31
    assert few["recall@5"] < every["recall@5"] and every["recall@5"] > 0.95
    assert [row["lists"] for row in found["making"]] == [31, 62]


def test_halves_of_a_shard_benchmark_are_the_whole(tmp_path: Path) -> None:
    whole = scale.images(12, 1, str(tmp_path))
    assert len(shards.part(whole, 12).columns) == 12
