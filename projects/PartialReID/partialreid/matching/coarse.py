"""A rough reconstruction distance to a whole gallery as one small matrix product.

Shapes: Q queries, G galleries, C channels, N query columns, M gallery columns, d dimensions of the
coarse space, L = d (d + 1) / 2.

Columns are projected onto the d principal directions of the gallery's columns. There the squared
residual of a unit column q is 1 - q' A q, with A = I - kappa^2 (GG' + kappa I)^-2 for the gallery
columns G (d x M), as G W = (I - kappa (GG' + kappa I)^-1) q. The root is replaced by its tangent at
the mean residual r_n of each query column over the gallery, so that

    d = sum_n w_n sqrt(1 - q_n' A q_n)  ~  const - < A, sum_n w_n / (2 sqrt r_n) q_n q_n' >

is an inner product of a vector of the query and one of the gallery image, both of length L,
whatever the numbers of columns. In so few dimensions the columns of any image span nearly
everything, so that kappa must be much larger here than in the exact distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .columns import ColumnBlocks, Columns
from .precision import full_precision

DIMENSIONS = 64
KAPPA = 0.3
# The tangent of a root near zero would be too steep. Only a query column that the whole gallery
# explains to a thousandth comes so low; it is a guard, no setting.
LEAST_RESIDUAL = 1e-3
BLOCK = 64  # images at a time: speed and memory alone
LEVELS = 127  # of 8-bit storage: all that a signed byte has


class CoarseSpace(NamedTuple):
    """The space in which images are compared roughly, from a sample of the gallery.

    Attributes:
        basis: (C, d) orthonormal directions.
        kappa: the ridge.
        mean: (L,) mean of the sample's A, packed.
    """

    basis: Tensor
    kappa: float
    mean: Tensor

    def packed(self, columns: Columns, images: Sequence[int]) -> Tensor:
        """A (B, L) of some gallery images, its upper triangle row by row."""
        matrices = _explained(self._project(columns, images), self.kappa)
        rows, cols = _triangle(matrices.shape[-1], matrices.device)
        return matrices[:, rows, cols]

    def _project(self, columns: Columns, images: Sequence[int]) -> Tensor:
        """(B, d, N), with zero columns where an image has fewer than others."""
        blocks = ColumnBlocks(columns, "coarse")
        return self.basis.T @ blocks.stack(images, self.basis.dtype)

    def query_vectors(
        self, columns: Columns, weights: Sequence[Tensor] | Tensor, squared: bool = False
    ) -> Tensor:
        """(Q, L) whose negative inner product with A is the rough distance, up to a constant.

        Args:
            columns: (C, N_q) of Q queries.
            weights: (N_q,) of each.
            squared: approximate the distance that sums squared residuals.
        """
        size = self.basis.shape[1]
        rows, cols = _triangle(size, self.basis.device)
        average = torch.zeros(size, size, device=self.mean.device, dtype=self.mean.dtype)
        average[rows, cols] = average[cols, rows] = self.mean
        # An entry off the diagonal stands for two.
        counts = torch.where(rows == cols, 1.0, 2.0)
        vectors = []
        for start in range(0, len(weights), BLOCK):
            some = range(start, min(start + BLOCK, len(weights)))
            projected = self._project(columns, some)
            padded = projected.new_zeros(len(some), projected.shape[2])
            for row, image in zip(padded, some):
                row[: len(weights[image])] = weights[image]
            if not squared:
                missing = 1 - ((average @ projected) * projected).sum(1)
                padded = padded / (2 * missing.clamp(min=LEAST_RESIDUAL).sqrt())
            moments = (projected * padded[:, None]) @ projected.mT
            vectors.append(moments[:, rows, cols] * counts)
        return torch.cat(vectors) if vectors else self.mean.new_zeros(0, len(self.mean))


class CoarseIndex:
    """The gallery's side of the rough distance, in one byte for each of L numbers.

    Args:
        space: the same for all that is to be compared.
        gallery: (C, M_g) columns of unit length of G images.

    Raises:
        NotFiniteError: a column holds an infinity or NaN.
    """

    @torch.no_grad()
    def __init__(self, space: CoarseSpace, gallery: Columns) -> None:
        self.space = space
        total = len(gallery)
        device = space.basis.device
        self.levels = torch.empty(total, len(space.mean), dtype=torch.int8, device=device)
        self.scale = torch.empty(total, dtype=space.mean.dtype, device=device)
        with full_precision(device):
            for start in range(0, total, BLOCK):
                some = range(start, min(start + BLOCK, total))
                # Only differences between images count, and they are what the levels resolve.
                packed = space.packed(gallery, some) - space.mean
                scale = packed.abs().amax(1).clamp(min=torch.finfo(packed.dtype).tiny) / LEVELS
                self.levels[start : some.stop] = (packed / scale[:, None]).round().to(torch.int8)
                self.scale[start : some.stop] = scale
        # Levels of NaN would be any numbers, and the image would be shortlisted by chance.
        ColumnBlocks(gallery, "gallery").require_finite(self.scale[:, None])

    @torch.no_grad()
    def distances(
        self, columns: Columns, weights: Sequence[Tensor] | Tensor, squared: bool = False
    ) -> Tensor:
        """Rough distances (Q, G), up to a constant for each query.

        Args:
            columns: (C, N_q) columns of unit length of Q queries.
            weights: (N_q,) of each.
            squared: approximate the distance that sums squared residuals.
        """
        with full_precision(self.scale.device):
            vectors = self.space.query_vectors(columns, weights, squared)
        return rough_distances(vectors, self.levels, self.scale)


@torch.no_grad()
def rough_distances(vectors: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
    """Rough distances (Q, G), up to a constant for each query.

    Args:
        vectors: (Q, L) of the queries, see `CoarseSpace.query_vectors`.
        levels: (G, L) integers of 8 bits of the gallery.
        scale: (G,) what a level stands for.
    """
    out = vectors.new_empty(len(vectors), len(levels))
    with full_precision(scale.device):
        for start in range(0, len(levels), 16 * BLOCK):
            some = slice(start, start + 16 * BLOCK)
            out[:, some] = -(vectors @ levels[some].to(vectors.dtype).T) * scale[some]
    return out


@torch.no_grad()
def second_moment(columns: Columns, images: Sequence[int]) -> Tensor:
    """Sum of q q' over all columns q of some images, (C, C) in float64."""
    blocks = ColumnBlocks(columns, "gallery")
    channels = blocks.channels or 0
    total = torch.zeros(channels, channels, dtype=torch.float64, device=blocks.device)
    with full_precision(blocks.device):
        for start in range(0, len(images), BLOCK):
            flat = blocks.stack(images[start : start + BLOCK], blocks.dtype)
            flat = flat.transpose(0, 1).flatten(1)
            total += flat @ flat.T
    return total


def principal_directions(moment: Tensor, dimensions: int, dtype: torch.dtype) -> Tensor:
    """(C, d) leading eigenvectors of a second moment (C, C); d is at most C."""
    vectors: Tensor = torch.linalg.eigh(moment).eigenvectors
    return vectors[:, -min(dimensions, len(moment)) :].to(dtype)


def _explained(columns: Tensor, kappa: float) -> Tensor:
    """A = I - kappa^2 (GG' + kappa I)^-2 as (B, d, d) of columns (B, d, M)."""
    ridge = torch.eye(columns.shape[1], dtype=columns.dtype, device=columns.device)
    # NaN says that it failed, which `CoarseIndex` refuses with all other NaN: `inv` would have the
    # host wait for a GPU at every block.
    inverse, failed = torch.linalg.inv_ex(columns @ columns.mT + kappa * ridge)
    unexplained: Tensor = kappa * inverse.masked_fill((failed != 0)[:, None, None], torch.nan)
    return ridge - unexplained @ unexplained


def _triangle(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows and columns (L,) of the upper triangle of a matrix, row by row."""
    rows, cols = torch.triu_indices(size, size, device=device)
    return rows, cols
