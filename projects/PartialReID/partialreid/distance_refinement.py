"""FastReID's evaluation switches for the global distance: AQE, RERANK, METRIC and ROC.

Shapes: Q queries, G galleries, N = Q + G images, C channels.

Re-ranking and query expansion run on the CPU, as FastReID's functions do. They compare all N
images with each other, and so refine the global distance alone: the reconstruction distance is
not symmetric, and reconstructing queries by queries and galleries by galleries would be the whole
evaluation many times over.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from fastreid.evaluation.query_expansion import aqe
from fastreid.evaluation.rerank import re_ranking
from fastreid.utils.compute_dist import compute_jaccard_distance
from torch import Tensor

from .ranking import Array, ArrayLike, as_array, checked_distances

FALSE_RATES = (1e-4, 1e-3, 1e-2)


def euclidean_distance(query: Tensor, gallery: Tensor) -> Tensor:
    """Squared Euclidean distance (Q, G), what FastReID's TEST.METRIC euclidean ranks by.

    It is FastReID's `compute_euclidean_distance` without the deprecated call of torch in it, on
    the device of the features, and never below zero. Its scale is that of the features: a lambda
    chosen for the cosine distance means nothing beside it.

    Args:
        query, gallery: (Q, C) and (G, C), not normalised.
    """
    squares = query.square().sum(1)[:, None] + gallery.square().sum(1)
    return torch.addmm(squares, query, gallery.T, alpha=-2).clamp_(min=0)


def expand_queries(
    query: Tensor, gallery: Tensor, k: int = 5, alpha: float = 3.0, times: int = 1
) -> tuple[Tensor, Tensor]:
    """Average query expansion: each image becomes the weighted mean of its k nearest.

    FastReID's `aqe` (Chum et al., ICCV 2007; weights of Radenovic et al., 2018). Galleries are
    expanded like queries, and by queries too: a result depends on which queries are asked
    together.

    Args:
        query, gallery: (Q, C) and (G, C), not normalised: a longer feature weighs more in a mean.
        k: images of a mean, the image itself among them (TEST.AQE.QE_K).
        alpha: power of the cosine that weighs them (TEST.AQE.ALPHA).
        times: rounds of expansion (TEST.AQE.QE_TIME).

    Returns:
        The expanded features (Q, C) and (G, C), not normalised, in the dtype and on the
        device of the given ones.

    Raises:
        ValueError: k is not below the number of images, features hold NaN, or a neighbour with a
            negative cosine has no power alpha.
    """
    images = len(query) + len(gallery)
    if not 1 <= k < images:
        raise ValueError(
            f"TEST.AQE.QE_K is {k}: there are {images} images, it lies between 1 and {images - 1}"
        )
    features = [part.detach().float().cpu() for part in (query, gallery)]
    if any(part.isnan().any() for part in features):
        raise ValueError("features hold NaN")
    with np.errstate(invalid="ignore"):
        expanded = aqe(*features, times, k, alpha)
    if any(part.isnan().any() for part in expanded):
        raise ValueError(
            f"a negative cosine has no power TEST.AQE.ALPHA {alpha}: use an integer, or lower "
            f"TEST.AQE.QE_K {k}"
        )
    return expanded[0].to(query), expanded[1].to(gallery)


def rerank(
    query_gallery: ArrayLike,
    query_query: ArrayLike,
    gallery_gallery: ArrayLike,
    k1: int = 20,
    k2: int = 6,
    lam: float = 0.3,
) -> Array:
    """k-reciprocal re-ranking of three distance matrices (Zhong et al., CVPR 2017).

    FastReID's `re_ranking`. It squares the distances and divides each image's by their maximum
    before all else. With its input it holds 24 N^2 bytes: 0.1 GB for 2,000 images, 9 GB for the
    19,281 of Market-1501.

    Args:
        query_gallery, query_query, gallery_gallery: (Q, G), (Q, Q) and (G, G) distances; the last
            two symmetric.
        k1: neighbours that are compared (TEST.RERANK.K1).
        k2: neighbours whose sets are averaged, 1 for none (TEST.RERANK.K2).
        lam: weight of the original distance beside the Jaccard distance (TEST.RERANK.LAMBDA).

    Returns:
        (Q, G) float32 distances.

    Raises:
        ValueError: shapes that do not fit, NaN, or values outside their range.
    """
    qg, qq, gg = (as_array(x) for x in (query_gallery, query_query, gallery_gallery))
    queries, galleries = qg.shape
    if qq.shape != (queries, queries) or gg.shape != (galleries, galleries):
        raise ValueError(f"distances {qg.shape}, {qq.shape} and {gg.shape} do not fit together")
    if any(np.isnan(part).any() for part in (qg, qq, gg)):
        raise ValueError("distances hold NaN: look for NaN in the features")
    _check_rerank(queries + galleries, k1, k2, lam)
    return np.asarray(re_ranking(qg, qq, gg, k1, k2, lam))


def rerank_by_features(
    query: Tensor,
    gallery: Tensor,
    query_gallery: ArrayLike,
    k1: int = 20,
    k2: int = 6,
    lam: float = 0.3,
) -> Array:
    """k-reciprocal re-ranking as the switch TEST.RERANK of FastReID's evaluator computes it.

    It differs from `rerank`: the Jaccard distance comes from the squared Euclidean distance of
    the features, and the original distance is added as it is, neither squared nor divided.
    FastReID looks for neighbours on a GPU there; here faiss does it on the CPU. It holds about
    9 N^2 bytes.

    Args:
        query, gallery: (Q, C) and (G, C) features; of unit length for the cosine distance.
        query_gallery: (Q, G) the original distance.
        k1, k2, lam: as in `rerank`.

    Returns:
        (Q, G) float32 distances.

    Raises:
        ValueError: as in `rerank`.
    """
    near = as_array(query_gallery).astype(np.float32, copy=False)
    if near.shape != (len(query), len(gallery)):
        raise ValueError(
            f"distances {near.shape} do not fit {len(query)} queries and {len(gallery)} galleries"
        )
    _check_rerank(len(query) + len(gallery), k1, k2, lam)
    features = torch.cat([query, gallery]).detach().float().cpu()
    if features.isnan().any() or np.isnan(near).any():
        raise ValueError("features or distances hold NaN")
    # 3: by faiss on the CPU; every other value needs a GPU and its build of faiss.
    jaccard = compute_jaccard_distance(features, k1=k1, k2=k2, search_option=3)
    return jaccard[: len(query), len(query) :] * (1 - lam) + near * lam


def _check_rerank(images: int, k1: int, k2: int, lam: float) -> None:
    for key, value in (("K1", k1), ("K2", k2)):
        if not 1 <= value <= images:
            raise ValueError(
                f"TEST.RERANK.{key} is {value}: there are {images} images, it lies between 1 and "
                f"{images}"
            )
    if not 0 <= lam <= 1:
        raise ValueError(f"TEST.RERANK.LAMBDA is {lam}; it lies between 0 and 1")


def roc(
    distmat: ArrayLike,
    q_pids: ArrayLike,
    g_pids: ArrayLike,
    q_camids: ArrayLike,
    g_camids: ArrayLike,
    rates: Sequence[float] = FALSE_RATES,
) -> dict[str, float]:
    """Verification: how many pairs of one person are accepted at a rate of false acceptance.

    All pairs but those of one identity and one camera count. FastReID's TEST.ROC prints
    TPR@FPR of the same pairs with the roles exchanged (a pair of two persons is its positive, so
    its FPR is the share of *true* pairs told apart wrongly); the names here differ as the figures
    do.

    Args:
        distmat: (Q, G) distances; any distance, since each pair stands for itself.
        q_pids, g_pids, q_camids, g_camids: as in `ranking.rank_metrics`.
        rates: shares of the pairs of different persons that may be accepted, from 0 to below 1.

    Returns:
        `TAR@FAR=0.0001` and so on: share, in per cent, of the pairs of one person nearer than the
        threshold, the largest at which no more pairs of different persons are.

    Raises:
        ValueError: rates out of range, NaN, or no pair of one of the two kinds.
    """
    if not all(0 <= rate < 1 for rate in rates):
        raise ValueError(f"rates of false acceptance lie between 0 and 1, got {tuple(rates)}")
    q_pids, g_pids, q_camids, g_camids = ids = [
        as_array(x) for x in (q_pids, g_pids, q_camids, g_camids)
    ]
    distances = checked_distances(distmat, ids)
    same = q_pids[:, None] == g_pids
    true = distances[same & (q_camids[:, None] != g_camids)]
    false = distances[~same]
    if not len(true) or not len(false):
        raise ValueError(
            f"a ROC curve needs pairs of one person and of two, there are {len(true)} and "
            f"{len(false)}: set TEST.ROC.ENABLED to False"
        )
    # Rounding must not lose a pair: 0.01 * 100 is one.
    allowed = [int(rate * len(false) + 1e-9) for rate in rates]
    false.partition(sorted(set(allowed)))
    return {
        f"TAR@FAR={rate:g}": 100 * float((true < false[place]).mean())
        for rate, place in zip(rates, allowed)
    }
