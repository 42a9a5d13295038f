"""DsrEvaluator against the original's metrics, and what it reports."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from fastreid.config import get_cfg
from fastreid.utils.events import EventStorage

import partialreid
from partialreid import dsr_evaluation
from partialreid.dsr_evaluation import DsrEvaluator
from tests.conformance_columns import recorded_evaluation
from tests.standin.gpu import StandInGpu

METRICS = ("Rank-1", "Rank-5", "Rank-10", "mAP", "mINP")


def config(**changes):
    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    cfg.MODEL.DEVICE = "cpu"
    cfg.TEST.DSR.LAMBDA_SELECTION = "fixed"
    for key, value in changes.items():
        setattr(cfg.TEST.DSR, key, value)
    return cfg


def evaluator_with(cfg, features, columns, scores, pids, camids, num_query: int, step: int = 37):
    evaluator = DsrEvaluator(cfg, num_query)
    evaluator.reset()
    for i in range(0, len(pids), step):
        part = slice(i, i + step)
        inputs = {"targets": pids[part], "camids": camids[part]}
        evaluator.process(inputs, (features[part], columns[part], scores[part]))
    return evaluator


def random_case(num_query: int = 6, total: int = 30, ids: int = 5):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(total, 8, generator=generator)
    columns = torch.rand(total, 8, 7, generator=generator)
    scores = torch.rand(total, 7, generator=generator)
    pids = torch.arange(total) % ids
    camids = (torch.arange(total) >= num_query).long()
    return features, columns, scores, pids, camids, num_query


@pytest.fixture(scope="module")
def conformance():
    data, columns = recorded_evaluation()
    arrays = [torch.from_numpy(data[k]) for k in ("global_feat", "scores", "pids", "camids")]
    features, scores, pids, camids = arrays
    return data, (features, columns, scores, pids, camids, int(data["num_query"]))


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["float64", "float32"])
def test_original_protocol(conformance, storage: str) -> None:
    """Two gallery images that are equally near within 1e-6 change places.

    In float64 that is left to the global distances, whose products round by processor and torch.
    """
    data, case = conformance
    evaluator = evaluator_with(
        config(LAMBDA_SELECTION="oracle", STORAGE=storage, SHORTLIST="global"), *case
    )
    results = evaluator.evaluate()
    for name in METRICS:
        assert results[name] == pytest.approx(float(data[f"result/{name}"]), abs=5e-3), name
        wanted = float(data[f"global_only/{name}"])
        assert results[f"global/{name}"] == pytest.approx(wanted, abs=1e-3), name
    assert evaluator.report["lambda"] == pytest.approx(float(data["oracle_lambda"]))
    assert evaluator.report["lambda_selection"] == "oracle"


def test_reconstruction_switched_off(conformance) -> None:
    data, case = conformance
    results = evaluator_with(config(ENABLED=False), *case).evaluate()
    for name in METRICS:
        wanted = float(data[f"global_only/{name}"])
        assert results[name] == pytest.approx(wanted, abs=1e-3), name
    assert not [key for key in results if key.startswith(("reconstruction/", "fused/"))]


@pytest.mark.parametrize("distance", ["global", "reconstruction", "fused"])
def test_plain_keys_are_those_of_the_selected_distance(distance: str) -> None:
    results = evaluator_with(config(DISTANCE=distance), *random_case()).evaluate()
    assert list(results)[:6] == [*METRICS, "metric"]
    for name in METRICS:
        assert results[name] == results[f"{distance}/{name}"]
    assert results["metric"] == pytest.approx((results["Rank-1"] + results["mAP"]) / 2)


def test_fixed_lambda_ends_are_the_two_distances() -> None:
    case = random_case()
    at0 = evaluator_with(config(LAMBDA=0.0), *case).evaluate()
    at1 = evaluator_with(config(LAMBDA=1.0), *case).evaluate()
    for name in METRICS:
        assert at0[f"fused/{name}"] == at0[f"global/{name}"]
        assert at1[f"fused/{name}"] == at1[f"reconstruction/{name}"]


def test_batches_do_not_matter() -> None:
    case = random_case()
    whole = evaluator_with(config(), *case, step=1000).evaluate()
    assert evaluator_with(config(), *case, step=1).evaluate() == whole


def test_lengths_of_features_and_columns_do_not_matter() -> None:
    features, columns, scores, *rest = random_case()
    plain = evaluator_with(config(), features, columns, scores, *rest).evaluate()
    scaled = evaluator_with(config(), 7 * features, 0.1 * columns, scores, *rest).evaluate()
    assert scaled == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_half_storage_ranks_almost_alike(storage: str) -> None:
    case = random_case()
    plain = evaluator_with(config(), *case).evaluate()
    half = evaluator_with(config(STORAGE=storage), *case).evaluate()
    assert half["reconstruction/mAP"] == pytest.approx(plain["reconstruction/mAP"], abs=5)
    assert half["global/mAP"] == plain["global/mAP"]


def test_distances_are_kept_on_request() -> None:
    features, columns, scores, pids, camids, n = random_case()
    evaluator = DsrEvaluator(config(), n, keep_distances=True)
    evaluator.reset()
    inputs = {"targets": pids, "camids": camids}
    evaluator.process(inputs, (features, columns, scores))
    evaluator.evaluate()
    assert set(evaluator.distances) == {"global", "reconstruction", "fused"}
    fused = 0.2 * evaluator.distances["global"] + 0.8 * evaluator.distances["reconstruction"]
    torch.testing.assert_close(evaluator.distances["fused"], fused)


def test_fastreids_switches_change_the_global_distance_alone() -> None:
    case = random_case()
    plain = evaluator_with(config(), *case)
    plain.keep_distances = True
    plain.evaluate()
    cfg = config()
    cfg.TEST.METRIC = "euclidean"
    cfg.TEST.ROC.ENABLED = True
    refined = evaluator_with(cfg, *case)
    refined.keep_distances = True
    results = refined.evaluate()
    features, n = case[0], case[-1]
    expected = torch.cdist(features[:n].double(), features[n:].double()) ** 2
    near, matched, fused = (
        refined.distances[name] for name in ("global", "reconstruction", "fused")
    )
    torch.testing.assert_close(near.double(), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(matched, plain.distances["reconstruction"], rtol=0, atol=0)
    torch.testing.assert_close(fused, 0.2 * near + 0.8 * matched)
    assert set(refined.report["roc"]) == {"global", "reconstruction", "fused"}
    rates = refined.report["roc"]["fused"]
    assert results["fused/TAR@FAR=0.01"] == rates["TAR@FAR=0.01"]
    assert "roc" not in plain.report


def test_reranking_beyond_the_memory_is_refused_before_the_distances(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """30 images take 9 * 30 * 30 bytes; all of them may be of the columns, which are gone then."""
    cfg = config(MEMORY_GB=8.1e-6)
    cfg.TEST.RERANK.ENABLED, cfg.TEST.RERANK.K1 = True, 4
    assert evaluator_with(cfg, *random_case()).evaluate()["mAP"] > 0
    cfg.TEST.DSR.MEMORY_GB = 8e-6
    evaluator = evaluator_with(cfg, *random_case())
    monkeypatch.delattr(dsr_evaluation, "configured_distances")
    with pytest.raises(ValueError, match=r"^TEST.RERANK.ENABLED is True: comparing all 30 images"):
        evaluator.evaluate()
    with pytest.raises(RuntimeError, match="has failed before"):
        evaluator.evaluate()


def test_columns_are_gone_before_the_reranking(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = config()
    cfg.TEST.RERANK.ENABLED, cfg.TEST.RERANK.K1 = True, 4
    evaluator = evaluator_with(cfg, *random_case())
    store = evaluator._seen.store
    left = []
    refine = dsr_evaluation.refined_global
    monkeypatch.setattr(
        dsr_evaluation, "refined_global", lambda *args: left.append(len(store)) or refine(*args)
    )
    assert len(store) == 30
    evaluator.evaluate()
    assert left == [0]


def test_a_second_call_gives_the_same_answer() -> None:
    """Not the global distance under the name of the fused one, once the columns are gone."""
    evaluator = evaluator_with(config(), *random_case())
    first = evaluator.evaluate()
    report = evaluator.report
    assert first["Rank-1"] == first["fused/Rank-1"]
    first["Rank-1"] = -1.0
    second = evaluator.evaluate()
    assert second["Rank-1"] == second["fused/Rank-1"]
    assert {**second, "Rank-1": -1.0} == first
    assert evaluator.report is report


def test_a_new_evaluation_begins_with_a_reset() -> None:
    case = random_case()
    evaluator = evaluator_with(config(), *case)
    whole = evaluator.evaluate()
    features, columns, scores, pids, camids, _ = case
    batch = {"targets": pids, "camids": camids}, (features, columns, scores)
    with pytest.raises(RuntimeError, match=r"^this evaluation is over.*call reset\(\) before"):
        evaluator.process(*batch)
    evaluator.reset()
    assert evaluator.report == {}
    evaluator.process(*batch)
    assert evaluator.evaluate() == whole


def test_the_first_evaluation_needs_no_reset() -> None:
    features, columns, scores, pids, camids, n = random_case()
    evaluator = DsrEvaluator(config(), n)
    evaluator.process({"targets": pids, "camids": camids}, (features, columns, scores))
    assert evaluator.evaluate() == evaluator_with(config(), *random_case()).evaluate()


def test_after_a_failure_a_second_call_says_so() -> None:
    cfg = config(PROTOCOL="single-shot", SINGLE_SHOT_ROUNDS=1)
    evaluator = evaluator_with(cfg, *random_case())
    with pytest.raises(ValueError, match="at least 2 rounds"):
        evaluator.evaluate()
    with pytest.raises(RuntimeError, match=r"has failed before.*call reset\(\)"):
        evaluator.evaluate()


@pytest.mark.parametrize(("queries", "images"), [(0, 30), (30, 30), (31, 30), (6, 0)])
def test_too_few_images_are_one_sentence(queries: int, images: int) -> None:
    *case, _ = random_case()
    evaluator = evaluator_with(config(), *(part[:images] for part in case), queries)
    said = f"^{images} images were processed, of which {queries} are queries: there must be"
    with pytest.raises(ValueError, match=said):
        evaluator.evaluate()


def test_features_alone_are_ranked_by_the_global_distance() -> None:
    """As FastReID's Baseline with EmbeddingHead gives them."""
    features, _, _, pids, camids, n = random_case()
    evaluator = DsrEvaluator(config(ENABLED=False), n)
    evaluator.reset()
    evaluator.process({"targets": pids, "camids": camids}, features)
    wanted = evaluator_with(config(), *random_case()).evaluate()
    results = evaluator.evaluate()
    assert set(results) == {*METRICS, "metric", *(f"global/{name}" for name in METRICS)}
    for name in METRICS:
        assert results[name] == results[f"global/{name}"] == wanted[f"global/{name}"]
    evaluator = DsrEvaluator(config(), n)
    evaluator.reset()
    with pytest.raises(ValueError, match=r"features and no columns.*TEST\.DSR\.ENABLED False"):
        evaluator.process({"targets": pids, "camids": camids}, features)


BROKEN = [("features", None), ("weights", None), ("columns", 2), ("columns", 20)]


@pytest.mark.parametrize("shortlist", ["coarse", "none"])
@pytest.mark.parametrize(("part", "image"), BROKEN)
def test_broken_weights_are_named_and_not_columns(
    shortlist: str, part: str, image: int | None
) -> None:
    features, columns, scores, *rest = random_case()
    outputs = {"features": features, "columns": columns, "weights": scores}
    broken = outputs[part]
    broken[torch.arange(len(broken)) if image is None else image] = float("nan")
    cfg = config(SHORTLIST=shortlist, TOPK=3)
    cfg.MODEL.WEIGHTS = "logs/run/model_0042.pth"
    said = r'^MODEL.WEIGHTS "logs/run/model_0042\.pth" cannot be evaluated.*NaN.*diverged'
    with pytest.raises(ValueError, match=said) as caught:
        evaluator_with(cfg, *outputs.values(), *rest).evaluate()
    assert "column" not in str(caught.value)
    # In a training it is this run's own weights.
    cfg.OUTPUT_DIR = "logs/run"
    with (
        EventStorage(1234),
        pytest.raises(ValueError, match=r'^the weights of iteration 1234 of the run in "logs/'),
    ):
        evaluator_with(cfg, *outputs.values(), *rest).evaluate()


@pytest.mark.parametrize("codes", ["ridge", "lasso"])
@pytest.mark.parametrize("shortlist", ["coarse", "global", "none"])
def test_the_budget_moves_no_result(codes: str, shortlist: str) -> None:
    found = []
    for memory in ("auto", 1.0, 1e-3, 1e-6):
        cfg = config(CODES=codes, SHORTLIST=shortlist, TOPK=9, MEMORY_GB=memory)
        evaluator = evaluator_with(cfg, *random_case())
        evaluator.keep_distances = True
        results = evaluator.evaluate()
        found.append((evaluator.distances["reconstruction"], results))
    for distances, results in found[1:]:
        torch.testing.assert_close(distances, found[0][0], atol=2e-6, rtol=0)
        assert results == found[0][1]


def test_the_device_is_that_of_the_outputs(standin: StandInGpu) -> None:
    """Whatever MODEL.DEVICE says: "auto", the device without its index, another one."""
    features, columns, scores, pids, camids, n = random_case()
    wanted = evaluator_with(config(), features, columns, scores, pids, camids, n).evaluate()
    there = [part.to(standin.device) for part in (features, columns, scores)]
    for device in ("auto", standin.name, "cpu"):
        for outputs in (there, (features, columns, scores)):
            cfg = config()
            cfg.MODEL.DEVICE = device
            assert evaluator_with(cfg, *outputs, pids, camids, n).evaluate() == wanted


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = config(MEMORY_GB=1e-6)
    cfg.OUTPUT_DIR = str(tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    real = tempfile.TemporaryFile
    files = []

    def opened(**options: Any) -> Any:
        file = mock.Mock(wraps=real(**options))
        file.write.side_effect = full
        files.append(file)
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", opened)
    with pytest.raises(OSError, match=f'cannot be stored in "{tmp_path}".*set OUTPUT_DIR'):
        evaluator_with(cfg, *random_case())
    (file,) = files
    file.close.assert_called_once_with()
    assert not list(tmp_path.iterdir())
