"""DsrEvaluator against the original's metrics, and what it reports."""

from __future__ import annotations

import pytest
import torch
from fastreid.config import get_cfg

import partialreid
from partialreid.dsr_evaluation import DsrEvaluator
from tests.conformance_columns import recorded_evaluation

FIGURES = ("Rank-1", "Rank-5", "Rank-10", "mAP", "mINP")


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


@pytest.mark.parametrize(("storage", "tolerance"), [("float64", 1e-3), ("float32", 5e-3)])
def test_original_protocol(conformance, storage: str, tolerance: float) -> None:
    """In float32 two gallery images that are equally near within 1e-6 change places."""
    data, case = conformance
    evaluator = evaluator_with(
        config(LAMBDA_SELECTION="oracle", STORAGE=storage, SHORTLIST="global"), *case
    )
    results = evaluator.evaluate()
    for name in FIGURES:
        assert results[name] == pytest.approx(float(data[f"result/{name}"]), abs=tolerance), name
        wanted = float(data[f"global_only/{name}"])
        assert results[f"global/{name}"] == pytest.approx(wanted, abs=1e-3), name
    assert evaluator.report["lambda"] == pytest.approx(float(data["oracle_lambda"]))
    assert evaluator.report["lambda_selection"] == "oracle"


def test_reconstruction_switched_off(conformance) -> None:
    data, case = conformance
    results = evaluator_with(config(ENABLED=False), *case).evaluate()
    for name in FIGURES:
        wanted = float(data[f"global_only/{name}"])
        assert results[name] == pytest.approx(wanted, abs=1e-3), name
    assert not [key for key in results if key.startswith(("reconstruction/", "fused/"))]


@pytest.mark.parametrize("distance", ["global", "reconstruction", "fused"])
def test_plain_keys_are_those_of_the_selected_distance(distance: str) -> None:
    results = evaluator_with(config(DISTANCE=distance), *random_case()).evaluate()
    assert list(results)[:6] == [*FIGURES, "metric"]
    for name in FIGURES:
        assert results[name] == results[f"{distance}/{name}"]
    assert results["metric"] == pytest.approx((results["Rank-1"] + results["mAP"]) / 2)


def test_fixed_lambda_ends_are_the_two_distances() -> None:
    case = random_case()
    at0 = evaluator_with(config(LAMBDA=0.0), *case).evaluate()
    at1 = evaluator_with(config(LAMBDA=1.0), *case).evaluate()
    for name in FIGURES:
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
