"""The colours of an explanation, which those who do not see red from green tell apart as well.

Blue and orange are Okabe's and Ito's blue and vermilion. Viridis runs over the query's height.

Shape shorthand: R x S patches of the query, P of them in all, L patches of the gallery image;
colours are RGB from 0 to 1.
"""

from __future__ import annotations

import numpy as np

FOR, AGAINST = (0, 114, 178), (213, 94, 0)
# Five colours of viridis at equal distances.
VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
# The strongest tint: the picture below must still be seen.
TINT = 0.75
# A patch whose cells count less than this share of the average begins to fade.
FADES_BELOW = 0.5


def leaning(values: np.ndarray, full: float) -> tuple[np.ndarray, np.ndarray]:
    """Blue for what is below zero, orange for what is above, the more the further it is.

    Args:
        values: (R, S).
        full: the size of a value with the strongest tint.

    Returns:
        Colours (R, S, 3) and how much of them is seen (R, S), from 0 to `TINT`.
    """
    colours = np.where(values[..., None] < 0, FOR, AGAINST) / 255
    return colours, TINT * np.clip(np.abs(values) / (full or 1), 0, 1)


def ramp(heights: np.ndarray) -> np.ndarray:
    """The colours (..., 3) of heights (...) in the query, from 0 at its upper edge to 1."""
    places = np.linspace(0, 1, len(VIRIDIS))
    channels = np.array(VIRIDIS).T / 255
    return np.stack([np.interp(heights, places, channel) for channel in channels], axis=-1)


def mixed(links: np.ndarray, colours: np.ndarray, full: float) -> tuple[np.ndarray, np.ndarray]:
    """The colours of what gallery patches rebuild, mixed as much as each brings.

    Args:
        links: (L, P), how much each gallery patch brings to each patch of the query.
        colours: (P, 3) of the patches of the query.
        full: the sum of a gallery patch's links that has the strongest tint.

    Returns:
        Colours (L, 3) and how much of them is seen (L,), from 0 to `TINT`.
    """
    brought = links.sum(1)
    share = links / np.where(brought > 0, brought, 1)[:, None]
    # The root makes the weaker ones visible.
    return share @ colours, TINT * np.clip(brought / (full or 1), 0, 1) ** 0.5


def fading(counts: np.ndarray) -> np.ndarray:
    """How far patches fade (R, S), from 0, not at all, to 1, by how much their cells count.

    Args:
        counts: (R, S), weight of each patch by the number of its cells.
    """
    average = counts.mean()
    return 1 - np.clip(counts / (FADES_BELOW * average), 0, 1) if average > 0 else counts * 0
