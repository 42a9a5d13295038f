"""FastReID's evaluation switches on the CPU, against plain loops and against FastReID's code."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from partialreid.distance_refinement import (
    euclidean_distance,
    expand_queries,
    rerank,
    rerank_by_features,
    roc,
)
from partialreid.ranking import rank_metrics


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


def rerank_by_sets(qg, qq, gg, k1: int, k2: int, lam: float) -> np.ndarray:
    """Zhong et al., equations 3 to 12, with sets and sums of minima over sums of maxima."""
    whole = np.block([[qq, qg], [qg.T, gg]]).astype("f8") ** 2
    whole = (whole / whole.max(0)).T
    nearest = whole.argsort(1)
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
    queries = len(qq)
    least = np.minimum(vectors[:queries, None], vectors[None, queries:]).sum(2)
    most = np.maximum(vectors[:queries, None], vectors[None, queries:]).sum(2)
    return (1 - least / most) * (1 - lam) + whole[:queries, queries:] * lam


@pytest.mark.parametrize(("k1", "k2", "lam"), [(8, 3, 0.3), (6, 1, 0.0), (20, 6, 1.0)])
def test_rerank_against_sets(k1: int, k2: int, lam: float) -> None:
    query, gallery, _ = case(identities=12)
    parts = cosine(query, gallery), cosine(query, query), cosine(gallery, gallery)
    for part in parts[1:]:
        part.fill_diagonal_(0)
    ours = rerank(*parts, k1, k2, lam)
    assert ours.shape == parts[0].shape
    expected = rerank_by_sets(*(part.numpy() for part in parts), k1, k2, lam)
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_both_rerankings_help() -> None:
    query, gallery, ids = case()
    units = F.normalize(query, dim=1), F.normalize(gallery, dim=1)
    near = cosine(query, gallery)
    by_distance = rerank(near, cosine(query, query), cosine(gallery, gallery), 8, 3, 0.3)
    by_features = rerank_by_features(*units, near, 8, 3, 0.3)
    assert by_features.dtype == np.float32
    plain = m_ap(near, ids)
    assert m_ap(by_distance, ids) > plain + 0.02
    assert m_ap(by_features, ids) > plain + 0.02
    np.testing.assert_array_equal(rerank_by_features(*units, near, 8, 3, 1.0), near.numpy())


def test_reranking_names_bad_input() -> None:
    query, gallery, _ = case(identities=3)
    near, inner, outer = (
        cosine(query, gallery),
        cosine(query, query),
        cosine(gallery, gallery),
    )
    with pytest.raises(ValueError, match="do not fit together"):
        rerank(near, outer, inner)
    with pytest.raises(ValueError, match="do not fit 12 queries and 6 galleries"):
        rerank_by_features(gallery, query, near)
    for key, changes in (("K1", {"k1": 19}), ("K2", {"k2": 0}), ("LAMBDA", {"lam": 1.1})):
        settings = {"k1": 4, "k2": 2, "lam": 0.5, **changes}
        with pytest.raises(ValueError, match=rf"TEST\.RERANK\.{key} is"):
            rerank(near, inner, outer, **settings)
        with pytest.raises(ValueError, match=rf"TEST\.RERANK\.{key} is"):
            rerank_by_features(query, gallery, near, **settings)
    with pytest.raises(ValueError, match="NaN"):
        rerank(near, inner * np.nan, outer, 4, 2)
    with pytest.raises(ValueError, match="NaN"):
        rerank_by_features(query * np.nan, gallery, near, 4, 2)


def test_roc_counts_fastreids_pairs() -> None:
    """The pairs are FastReID's; of thresholds the best that keeps the rate is found by trying."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastreid.evaluation.roc import evaluate_roc

    query, gallery, ids = case()
    arrays = [np.asarray(x) for x in ids]
    arrays[3] = np.arange(len(arrays[1])) % 3  # some pairs share identity and camera 0
    near = cosine(query, gallery).numpy()
    scores, labels = evaluate_roc(near, *arrays)  # label 1: two persons
    rates = [0.0, 1e-3, 0.01, 0.2]
    ours = roc(near, *arrays, rates=rates)
    assert list(ours) == ["TAR@FAR=0", "TAR@FAR=0.001", "TAR@FAR=0.01", "TAR@FAR=0.2"]
    for rate, found in zip(rates, ours.values()):
        best = max(
            (scores[labels == 0] < threshold).mean()
            for threshold in np.sort(scores)
            if (scores[labels == 1] < threshold).mean() <= rate
        )
        assert found == pytest.approx(100 * best)
    assert 0 < ours["TAR@FAR=0.001"] < ours["TAR@FAR=0.2"] < 100


def test_roc_by_hand() -> None:
    # True pairs at .1 and .4 (the pair of one camera at .0 does not count), false at .2, .3.
    distances, ids = [[0.0, 0.1, 0.2], [0.3, 0.9, 0.4]], ([1, 2], [1, 1, 2], [0, 0], [0, 1, 1])
    distances[1][1] = 0.5
    found = roc(distances, *ids, rates=[0.0, 0.4, 0.7])
    assert found == {"TAR@FAR=0": 50.0, "TAR@FAR=0.4": 50.0, "TAR@FAR=0.7": 100.0}
    tied = roc([[0.2, 0.2, 0.2]], [1], [1, 2, 3], [0], [1, 1, 1], rates=[0.5])
    assert tied == {"TAR@FAR=0.5": 0.0}


def test_roc_names_bad_input() -> None:
    ids = ([1], [1, 2], [0], [1, 1])
    with pytest.raises(ValueError, match="there are 0 and 1"):
        roc([[0.1, 0.2]], [1], [1, 2], [0], [0, 1])
    with pytest.raises(ValueError, match="there are 2 and 0"):
        roc([[0.1, 0.2]], [1], [1, 1], [0], [1, 1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        roc([[0.1, 0.2]], *ids, rates=[1.0])
    with pytest.raises(ValueError, match="NaN"):
        roc([[0.1, np.nan]], *ids)
    with pytest.raises(ValueError, match="do not fit"):
        roc([[0.1]], *ids)
