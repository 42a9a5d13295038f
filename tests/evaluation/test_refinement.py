"""FastReID's evaluation switches on the CPU, against plain loops and against FastReID's code."""

from __future__ import annotations

import tracemalloc
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import torch
import torch.nn.functional as F
from fastreid.config import get_cfg

import partialreid
from partialreid.evaluation import refinement
from partialreid.evaluation.refinement import (
    RERANK_BYTES,
    check_refinement,
    euclidean_distance,
    expand_queries,
    is_refined,
    refined_global,
    rerank_by_features,
)
from partialreid.metrics.ranking import rank_metrics


def case(noise: float = 1.2, identities: int = 25):
    """Features of unlike lengths around one centre for each identity, 2 queries and 4 galleries."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(identities, 24, generator=generator)
    q_pids, g_pids = (torch.arange(identities).repeat(n) for n in (2, 4))
    query, gallery = (
        (centres[pids] + noise * torch.randn(len(pids), 24, generator=generator))
        * (0.5 + torch.rand(len(pids), 1, generator=generator))
        for pids in (q_pids, g_pids)
    )
    return query, gallery, [q_pids, g_pids, torch.zeros(len(q_pids)), torch.ones(len(g_pids))]


def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return 1 - F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


def m_ap(distances, ids) -> float:
    return float(rank_metrics(distances, *ids).all_AP.mean())


@pytest.mark.parametrize("switch", ["METRIC", "AQE"])
def test_refined_distances_are_those_of_float32(make_config: Any, switch: str) -> None:
    """Under mixed precision, too, as all other distances of an evaluation."""
    query, gallery, _ = case()
    test = make_config().TEST
    if switch == "METRIC":
        test.METRIC = "euclidean"
    else:
        test.AQE.ENABLED = True
    wanted = refined_global(query, gallery, test)
    with torch.autocast("cpu", torch.bfloat16):
        found = refined_global(query, gallery, test)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_euclidean_is_fastreids() -> None:
    from fastreid.utils.compute_dist import compute_euclidean_distance

    query, gallery, _ = case()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = compute_euclidean_distance(query, gallery)
    ours = euclidean_distance(query, gallery)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)
    exact = torch.cdist(query.double(), gallery.double()) ** 2
    torch.testing.assert_close(
        euclidean_distance(query.double(), gallery.double()), exact, atol=1e-10, rtol=0
    )
    same = euclidean_distance(1000 * query, 1000 * query).diagonal()
    assert (same >= 0).all()


def test_euclidean_ranks_unit_features_like_cosine() -> None:
    query, gallery, ids = case()
    units = F.normalize(query, dim=1), F.normalize(gallery, dim=1)
    assert m_ap(euclidean_distance(*units), ids) == pytest.approx(
        m_ap(cosine(query, gallery), ids), abs=1e-6
    )
    assert m_ap(euclidean_distance(query, gallery), ids) != pytest.approx(
        m_ap(cosine(query, gallery), ids), abs=1e-3
    )


@pytest.mark.parametrize(("alpha", "times"), [(3.0, 1), (2.0, 2), (0.0, 1)])
def test_expansion_against_a_loop(alpha: float, times: int) -> None:
    query, gallery, _ = case()
    images = torch.cat([query, gallery]).double()
    for _ in range(times):
        rows = []
        for image in images:
            similar = F.cosine_similarity(image[None], images)
            nearest = similar.argsort(descending=True)[:5]
            rows.append((similar[nearest, None] ** alpha * images[nearest]).mean(0))
        images = torch.stack(rows)
    expanded = torch.cat(expand_queries(query, gallery, k=5, alpha=alpha, times=times))
    torch.testing.assert_close(expanded.double(), images, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("block", [1, 20_000, 1e9])
def test_expansion_is_fastreids_in_blocks_of_any_size(block: float) -> None:
    from fastreid.evaluation.query_expansion import aqe

    query, gallery, _ = case()
    for k, alpha, times in ((5, 3.0, 1), (1, 3.0, 1), (17, 2.0, 3), (149, 0.0, 1)):
        ours = expand_queries(query, gallery, k, alpha, times, block)
        for found, wanted in zip(ours, aqe(query, gallery, times, k, alpha), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_expansion_stays_within_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No product of more rows than the block, besides the features, has room for."""
    rows = []
    find = torch.Tensor.topk

    def watched(cosines: torch.Tensor, *args, **options):
        rows.append(len(cosines))
        return find(cosines, *args, **options)

    query, gallery, _ = case()
    monkeypatch.setattr(torch.Tensor, "topk", watched)
    # Of 150 images and 5 neighbours with 24 channels one takes 16 * 150 + 8 * 5 * 24 = 3,360.
    expand_queries(query, gallery, block_bytes=150 * 3360)
    assert rows == [150]
    expand_queries(query, gallery, block_bytes=40 * 3360)
    assert rows[1:] == [40, 40, 40, 30]
    expand_queries(query, gallery, block_bytes=10)
    assert rows[5:] == [1] * 150
    # A quarter of TEST.DSR.MEMORY_GB is for such work.
    rows.clear()
    settings = switches(*AQE, "TEST.AQE.QE_TIME", 1, "TEST.DSR.MEMORY_GB", 4 * 40 * 2976e-9)
    refined_global(query, gallery, settings)
    assert rows == [40, 40, 40, 30]


def test_expansion_helps_and_keeps_the_dtype() -> None:
    query, gallery, ids = case()
    plain = m_ap(cosine(query, gallery), ids)
    expanded = expand_queries(query.double(), gallery.half(), k=5)
    assert [part.dtype for part in expanded] == [torch.float64, torch.float16]
    assert m_ap(cosine(*(part.float() for part in expanded)), ids) > plain + 0.01


def test_expansion_names_bad_input() -> None:
    query, gallery, _ = case()
    images = len(query) + len(gallery)
    expand_queries(query, gallery, k=images - 1)
    for k in (0, images):
        with pytest.raises(ValueError, match=f"QE_K is {k}: there are {images} images"):
            expand_queries(query, gallery, k=k)
    with pytest.raises(ValueError, match=r"no power TEST.AQE.ALPHA 2.5"):
        expand_queries(query, gallery, k=images - 1, alpha=2.5)
    with pytest.raises(ValueError, match="features hold NaN"):
        expand_queries(query * np.nan, gallery)


def reciprocal(nearest: np.ndarray, i: int, k: int) -> set[int]:
    return {int(j) for j in nearest[i, : k + 1] if i in nearest[j, : k + 1]}


def rerank_by_sets(query, gallery, near, k1: int, k2: int, lam: float) -> np.ndarray:
    """Zhong et al., equations 3 to 12, with sets and sums of minima over sums of maxima."""
    images = torch.cat([query, gallery]).double()
    whole = (torch.cdist(images, images) ** 2).numpy()
    nearest = whole.argsort(1)[:, :k1]  # as FastReID: the image itself is one of them
    count = len(whole)
    vectors = np.zeros((count, count))
    for i in range(count):
        kept = reciprocal(nearest, i, k1)
        wider = set(kept)
        for j in kept:
            half = reciprocal(nearest, j, round(k1 / 2))
            if len(half & kept) > 2 / 3 * len(half):
                wider |= half
        members = sorted(wider)
        vectors[i, members] = np.exp(-whole[i, members])
        vectors[i] /= vectors[i].sum()
    if k2 > 1:
        vectors = np.stack([vectors[nearest[i, :k2]].mean(0) for i in range(count)])
    queries = len(query)
    least = np.minimum(vectors[:queries, None], vectors[None, queries:]).sum(2)
    most = np.maximum(vectors[:queries, None], vectors[None, queries:]).sum(2)
    return (1 - least / most) * (1 - lam) + near * lam


@pytest.mark.parametrize(("k1", "k2", "lam"), [(8, 3, 0.3), (6, 1, 0.0), (20, 6, 1.0)])
def test_rerank_against_sets(k1: int, k2: int, lam: float) -> None:
    query, gallery, _ = case(identities=12)
    near = cosine(query, gallery)
    units = F.normalize(query, dim=1), F.normalize(gallery, dim=1)
    ours = rerank_by_features(*units, near, k1, k2, lam)
    assert ours.shape == near.shape
    np.testing.assert_allclose(ours, rerank_by_sets(*units, near.numpy(), k1, k2, lam), atol=2e-5)


def test_reranking_helps() -> None:
    query, gallery, ids = case()
    units = F.normalize(query, dim=1), F.normalize(gallery, dim=1)
    near = cosine(query, gallery)
    found = rerank_by_features(*units, near, 8, 3, 0.3)
    assert found.dtype == np.float32
    assert m_ap(found, ids) > m_ap(near, ids) + 0.02
    np.testing.assert_array_equal(rerank_by_features(*units, near, 8, 3, 1.0), near.numpy())


def test_reranking_names_bad_input() -> None:
    query, gallery, _ = case(identities=3)
    near = cosine(query, gallery)
    with pytest.raises(ValueError, match="do not fit 12 queries and 6 galleries"):
        rerank_by_features(gallery, query, near)
    for key, changes in (("K1", {"k1": 19}), ("K2", {"k2": 0}), ("LAMBDA", {"lam": 1.1})):
        settings = {"k1": 4, "k2": 2, "lam": 0.5, **changes}
        with pytest.raises(ValueError, match=rf"TEST\.RERANK\.{key} is"):
            rerank_by_features(query, gallery, near, **settings)
    with pytest.raises(ValueError, match="NaN"):
        rerank_by_features(query * np.nan, gallery, near, 4, 2)


def switches(*options):
    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    cfg.merge_from_list(list(options))
    return cfg.TEST


RERANK = ("TEST.RERANK.ENABLED", True, "TEST.RERANK.K1", 8, "TEST.RERANK.K2", 3)
AQE = ("TEST.AQE.ENABLED", True, "TEST.AQE.QE_K", 3, "TEST.AQE.QE_TIME", 2)
EUCLIDEAN = ("TEST.METRIC", "euclidean")


@pytest.mark.parametrize("metric", [(), EUCLIDEAN])
@pytest.mark.parametrize("expansion", [(), AQE])
@pytest.mark.parametrize("reranking", [(), RERANK])
def test_switches_in_fastreids_order(metric, expansion, reranking) -> None:
    """Expanded, then compared, then re-ranked, as ReidEvaluator does it step by step."""
    query, gallery, _ = case()
    settings = switches(*metric, *expansion, *reranking)
    assert is_refined(settings) == bool(metric or expansion or reranking)
    check_refinement(settings, len(query) + len(gallery))
    found = refined_global(query, gallery, settings)
    if expansion:
        query, gallery = expand_queries(query, gallery, 3, 3.0, 2)
    if not metric:
        query, gallery = F.normalize(query, dim=1), F.normalize(gallery, dim=1)
    expected = euclidean_distance(query, gallery) if metric else cosine(query, gallery)
    if reranking:
        expected = torch.from_numpy(rerank_by_features(query, gallery, expected, 8, 3, 0.3))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "images", "message"),
    [
        (("TEST.METRIC", "jaccard"), None, "TEST.METRIC is 'jaccard'"),
        ((*AQE, "TEST.AQE.QE_K", 0), None, "TEST.AQE.QE_K is 0"),
        ((*AQE, "TEST.AQE.QE_K", 9), 9, "TEST.AQE.QE_K is 9: there are 9 images"),
        ((*AQE, "TEST.AQE.QE_TIME", 0), None, "TEST.AQE.QE_TIME is 0"),
        ((*RERANK, "TEST.RERANK.K1", 0), None, "TEST.RERANK.K1 is 0"),
        (RERANK, 7, "TEST.RERANK.K1 is 8: there are 7 images"),
        ((*RERANK, "TEST.RERANK.LAMBDA", 1.5), None, "TEST.RERANK.LAMBDA is 1.5"),
    ],
)
def test_switches_out_of_range(options, images: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_refinement(switches(*options), images)


def test_reranking_holds_what_is_said() -> None:
    query, gallery, _ = case(identities=60)
    images = len(query) + len(gallery)
    near = cosine(query, gallery)
    tracemalloc.start()
    rerank_by_features(query, gallery, near, 6, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Two arrays of float32 at once; beside all arrays, a few numbers and lists for each image.
    assert 8 * images**2 < peak < RERANK_BYTES * images**2 + 1500 * images


@pytest.mark.parametrize("reconstruction", [True, False])
def test_reranking_beyond_the_memory_is_refused(reconstruction: bool) -> None:
    """9 bytes for each pair: 1,000 images take 0.009 GB."""
    options = *RERANK, "TEST.DSR.MEMORY_GB", 0.009, "TEST.DSR.ENABLED", reconstruction
    check_refinement(switches(*options), 1000)
    said = (
        r"^TEST\.RERANK\.ENABLED is True: comparing all 1001 images with each other takes 0\.00902 "
        r"GB, and TEST\.DSR\.MEMORY_GB 0\.009 allows 0\.009 GB: raise it, or set "
        r"TEST\.RERANK\.ENABLED False$"
    )
    with pytest.raises(ValueError, match=said):
        check_refinement(switches(*options), 1001)
    # Nothing else needs so much.
    check_refinement(switches(*AQE, *EUCLIDEAN, "TEST.DSR.MEMORY_GB", 0.009), 10**6)


def test_auto_is_half_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Market-1501 4.8 GB."""
    settings = switches(*RERANK)
    for free, fits in ((9.8e9, True), (9.4e9, False)):
        monkeypatch.setattr(
            psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free)
        )
        if fits:
            check_refinement(settings, 23_100)
        else:
            with pytest.raises(ValueError, match=r"takes 4\.8 GB.*MEMORY_GB auto allows 4\.7 GB"):
                check_refinement(settings, 23_100)


def test_a_refused_reranking_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    query, gallery, _ = case()
    monkeypatch.delattr(refinement, "compute_jaccard_distance")
    with pytest.raises(ValueError, match="comparing all 150 images"):
        refined_global(query, gallery, switches(*RERANK, "TEST.DSR.MEMORY_GB", 1e-6))
