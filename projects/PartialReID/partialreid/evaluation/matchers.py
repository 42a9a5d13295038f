"""The two ways to match extracted images: by ridge reconstruction or by sparse codes.

Shapes: Q queries, G galleries, C channels, N_q columns of a query, P pairs.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ..matching.explained import Explained, explained_lasso_pair, explained_pair
from ..matching.extracted import Images
from ..matching.lasso import BETA, TOLERANCE, lasso_distance
from ..matching.reconstruction import (
    KAPPA,
    reconstruction_distance,
    reconstruction_distance_pairs,
)
from ..runtime.progress import tracker
from .weighted_columns import WeightedColumns


class RidgeMatcher(NamedTuple):
    """The ridge reconstruction distance between images; see `sharding.Matcher`.

    Attributes:
        kappa: weight of the ridge.
        squared: sum squared residuals in place of residuals.
        memory_bytes: working memory, see `reconstruction_distance`.
    """

    kappa: float = KAPPA
    squared: bool = False
    memory_bytes: int | None = None

    def every(self, query: Images, gallery: Images) -> Tensor:
        """Distances (Q, G) of all pairs."""
        return reconstruction_distance(
            query.columns,
            gallery.columns,
            query.weights,
            kappa=self.kappa,
            squared=self.squared,
            memory_bytes=self.memory_bytes,
            track=tracker("reconstruction distances"),
        )

    def pairs(self, query: Images, gallery: Images, pairs: Tensor) -> Tensor:
        """Distances (P,) of `pairs` (P, 2) of a query and a gallery image."""
        return reconstruction_distance_pairs(
            query.columns,
            gallery.columns,
            pairs,
            query.weights,
            kappa=self.kappa,
            squared=self.squared,
            memory_bytes=self.memory_bytes,
            track=tracker("reconstruction distances"),
        )

    def explained(self, query: Tensor, gallery: Tensor, weights: Tensor) -> Explained:
        """The distance between columns (C, N) and (C, M) taken apart, with weights (N,)."""
        return explained_pair(query, gallery, weights, self.kappa, self.squared)


class LassoMatcher(NamedTuple):
    """The sparse-coding distance of DSR (2018) between images; see `sharding.Matcher`.

    Query columns of weight zero do not take part; the others count alike.

    Attributes:
        beta: weight of the L1 norm.
        tolerance: largest violation of optimality, as a share of beta.
        memory_bytes: working memory, see `lasso_distance`.
    """

    beta: float = BETA
    tolerance: float = TOLERANCE
    memory_bytes: int | None = None

    def every(self, query: Images, gallery: Images) -> Tensor:
        """Distances (Q, G) of all pairs."""
        return lasso_distance(
            WeightedColumns(query),
            gallery.columns,
            beta=self.beta,
            tolerance=self.tolerance,
            memory_bytes=self.memory_bytes,
            track=tracker("lasso distances", "images"),
        )

    def pairs(self, query: Images, gallery: Images, pairs: Tensor) -> Tensor:
        """Distances (P,) of `pairs` (P, 2) of a query and a gallery image."""
        return lasso_distance(
            WeightedColumns(query),
            gallery.columns,
            pairs,
            beta=self.beta,
            tolerance=self.tolerance,
            memory_bytes=self.memory_bytes,
            track=tracker("lasso distances", "images"),
        )

    def explained(self, query: Tensor, gallery: Tensor, weights: Tensor) -> Explained:
        """The distance between columns (C, N) and (C, M) taken apart, with weights (N,)."""
        return explained_lasso_pair(query, gallery, weights, self.beta, self.tolerance)
