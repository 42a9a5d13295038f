"""The weight of the ridge, as whoever solves with it needs it."""

from __future__ import annotations

import math


def check_kappa(kappa: float) -> None:
    """Check the weight of the ridge.

    Raises:
        ValueError: it is not above 0, or infinite: without a ridge a system may have no solution,
            and with an infinite one nothing is reconstructed.
    """
    if not 0 < kappa < math.inf:
        raise ValueError(f"kappa must be > 0 and finite, got {kappa}")
