"""FastReID's evaluation switches for the global distance: AQE, RERANK and METRIC.

Shapes: Q queries, G galleries, N = Q + G images, C channels.

Re-ranking and query expansion run on the CPU, as FastReID's functions do. They compare all N
images with each other, and so refine the global distance alone: the reconstruction distance is
not symmetric, and reconstructing queries by queries and galleries by galleries would be the whole
evaluation many times over.

Both stay within TEST.DSR.MEMORY_GB: query expansion goes block by block, and re-ranking, which
cannot, is refused where it would not fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from fastreid.utils.compute_dist import compute_jaccard_distance
from torch import Tensor

from ..matching.precision import full_precision
from ..metrics.ranking import Array, ArrayLike, as_array
from ..runtime.memory_budget import MATCHING_ON_CPU, bytes_for_all_pairs, memory_budget

# Of FastReID's re-ranking, for each pair of images: two arrays of float32, and at the end one of
# booleans beside one of them.
RERANK_BYTES = 9


def is_refined(settings: Any) -> bool:
    """Whether the config node TEST asks for another global distance than the cosine one."""
    return settings.METRIC != "cosine" or settings.AQE.ENABLED or settings.RERANK.ENABLED


def check_refinement(settings: Any, images: int | None = None) -> None:
    """Check METRIC, AQE and RERANK of the config node TEST.

    Args:
        settings: the node.
        images: queries and galleries together, None where they are not known yet.

    Raises:
        ValueError: a value is out of range, or re-ranking needs more memory than
            TEST.DSR.MEMORY_GB allows; names the key.
    """
    if settings.METRIC not in ("cosine", "euclidean"):
        raise ValueError(
            f"TEST.METRIC is {settings.METRIC!r}; it can be cosine, euclidean "
            "(jaccard is what TEST.RERANK.ENABLED adds)."
        )
    most = images or 2**62
    if settings.AQE.ENABLED:
        _check_expansion(most, settings.AQE.QE_K)
        if settings.AQE.QE_TIME < 1:
            raise ValueError(f"TEST.AQE.QE_TIME is {settings.AQE.QE_TIME}; it starts at 1.")
    if settings.RERANK.ENABLED:
        _check_rerank(most, settings.RERANK.K1, settings.RERANK.K2, settings.RERANK.LAMBDA)
        _check_memory(images or 0, settings.DSR.MEMORY_GB)


def refined_global(query: Tensor, gallery: Tensor, settings: Any) -> Tensor:
    """The global distance (Q, G) with FastReID's switches, in the order of FastReID's evaluator.

    Features are expanded (AQE), compared (METRIC) and the distance re-ranked (RERANK).

    Args:
        query, gallery: (Q, C) and (G, C) features, not normalised.
        settings: the config node TEST.

    Raises:
        ValueError: as the functions of this module.
    """
    check_refinement(settings, len(query) + len(gallery))
    with full_precision(query.device):
        return _refined(query, gallery, settings)


def _refined(query: Tensor, gallery: Tensor, settings: Any) -> Tensor:
    if settings.AQE.ENABLED:
        keys = settings.AQE
        block = memory_budget(settings.DSR.MEMORY_GB, "cpu").matching
        query, gallery = expand_queries(query, gallery, keys.QE_K, keys.ALPHA, keys.QE_TIME, block)
    if settings.METRIC == "euclidean":
        near = euclidean_distance(query, gallery)
    else:
        query, gallery = F.normalize(query, dim=1), F.normalize(gallery, dim=1)
        near = 1 - query @ gallery.T
    if not settings.RERANK.ENABLED:
        return near
    keys = settings.RERANK
    found = rerank_by_features(query, gallery, near, keys.K1, keys.K2, keys.LAMBDA)
    return torch.from_numpy(found).to(near)


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


@torch.no_grad()
def expand_queries(
    query: Tensor,
    gallery: Tensor,
    k: int = 5,
    alpha: float = 3.0,
    times: int = 1,
    block_bytes: float = MATCHING_ON_CPU,
) -> tuple[Tensor, Tensor]:
    """Average query expansion: each image becomes the weighted mean of its k nearest.

    What FastReID's `aqe` gives (Chum et al., ICCV 2007; weights of Radenovic et al., 2018), which
    holds the cosines of all images with all. Galleries are expanded like queries, and by queries
    too: a result depends on which queries are asked together.

    Args:
        query, gallery: (Q, C) and (G, C), not normalised: a longer feature weighs more in a mean.
        k: images of a mean, the image itself among them (TEST.AQE.QE_K).
        alpha: power of the cosine that weighs them (TEST.AQE.ALPHA).
        times: rounds of expansion (TEST.AQE.QE_TIME).
        block_bytes: working memory besides all features; one image at a time is the least.

    Returns:
        The expanded features (Q, C) and (G, C), not normalised, in the dtype and on the
        device of the given ones.

    Raises:
        ValueError: k is not below the number of images, features hold NaN, or a neighbour with a
            negative cosine has no power alpha.
    """
    _check_expansion(len(query) + len(gallery), k)
    features = torch.cat([part.float().cpu() for part in (query, gallery)])
    if features.isnan().any():
        raise ValueError("features hold NaN")
    # Cosines and what finds the largest of them; the neighbours, as they are and weighted.
    bytes_of_one = 16 * len(features) + 8 * k * features.shape[1]
    rows = max(1, int(block_bytes / bytes_of_one))
    for _ in range(times):
        units = F.normalize(features, dim=1)
        parts = []
        for some in units.split(rows):
            cosines, nearest = (some @ units.T).topk(k, dim=1)
            parts.append((features[nearest] * cosines.pow(alpha)[:, :, None]).mean(1))
        features = torch.cat(parts)
    if features.isnan().any():
        raise ValueError(
            f"a negative cosine has no power TEST.AQE.ALPHA {alpha}: use an integer, or lower "
            f"TEST.AQE.QE_K {k}"
        )
    return features[: len(query)].to(query), features[len(query) :].to(gallery)


def rerank_by_features(
    query: Tensor,
    gallery: Tensor,
    query_gallery: ArrayLike,
    k1: int = 20,
    k2: int = 6,
    lam: float = 0.3,
) -> Array:
    """k-reciprocal re-ranking as the switch TEST.RERANK of FastReID's evaluator computes it.

    The Jaccard distance comes from the squared Euclidean distance of the features (Zhong et al.,
    CVPR 2017, divide it by each image's maximum), and the original distance is added as it is.
    FastReID looks for neighbours on a GPU; here faiss does it on the CPU. It holds about 9 N^2
    bytes, 5 GB for the 23,100 images of Market-1501, which `check_refinement` compares with
    TEST.DSR.MEMORY_GB.

    Args:
        query, gallery: (Q, C) and (G, C) features; of unit length for the cosine distance.
        query_gallery: (Q, G) the original distance.
        k1: neighbours that are compared (TEST.RERANK.K1).
        k2: neighbours whose sets are averaged, 1 for none, at most the k1 that are compared
            (TEST.RERANK.K2).
        lam: weight of the original distance beside the Jaccard distance (TEST.RERANK.LAMBDA).

    Returns:
        (Q, G) float32 distances.

    Raises:
        ValueError: shapes that do not fit, NaN, or values outside their range.
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


def _check_expansion(images: int, k: int) -> None:
    if not 1 <= k < images:
        raise ValueError(
            f"TEST.AQE.QE_K is {k}: there are {images} images, it lies between 1 and {images - 1}"
        )


def _check_rerank(images: int, k1: int, k2: int, lam: float) -> None:
    for key, value in (("K1", k1), ("K2", k2)):
        if not 1 <= value <= images:
            raise ValueError(
                f"TEST.RERANK.{key} is {value}: there are {images} images, it lies between 1 and "
                f"{images}"
            )
    if not 0 <= lam <= 1:
        raise ValueError(f"TEST.RERANK.LAMBDA is {lam}; it lies between 0 and 1")


def _check_memory(images: int, memory_gb: str | float) -> None:
    needed, allowed = RERANK_BYTES * images**2, bytes_for_all_pairs(memory_gb)
    if needed > allowed:
        raise ValueError(
            f"TEST.RERANK.ENABLED is True: comparing all {images} images with each other takes "
            f"{needed / 1e9:.3g} GB, and TEST.DSR.MEMORY_GB {memory_gb} allows "
            f"{allowed / 1e9:.3g} GB: raise it, or set TEST.RERANK.ENABLED False"
        )
