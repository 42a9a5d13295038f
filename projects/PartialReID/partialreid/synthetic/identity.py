"""Who is drawn: the appearance of one made-up pedestrian.

Colours come from short palettes with realistic weights (dark clothes are common), so many people
share a shirt or a pair of trousers; what tells them apart is often local: a logo, a bag, the shoes,
the hair. Nothing here knows about cameras, poses or pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

Colour = tuple[int, int, int]

TOP_COLOURS: dict[str, Colour] = {
    "black": (34, 34, 38),
    "white": (232, 230, 224),
    "grey": (132, 134, 138),
    "navy": (38, 50, 98),
    "red": (186, 40, 44),
    "blue": (66, 118, 196),
    "green": (52, 116, 70),
    "yellow": (226, 188, 62),
    "pink": (220, 138, 160),
    "brown": (118, 82, 56),
}
TOP_WEIGHTS = (5, 5, 4, 3, 3, 3, 2, 2, 2, 2)
BOTTOM_COLOURS: dict[str, Colour] = {
    "black": (36, 36, 40),
    "jeans": (70, 92, 138),
    "grey": (112, 112, 116),
    "khaki": (174, 154, 116),
    "white": (224, 222, 216),
    "brown": (98, 70, 50),
}
BOTTOM_WEIGHTS = (5, 5, 3, 3, 1, 2)
ACCENTS: tuple[Colour, ...] = (
    (232, 230, 226),
    (30, 30, 34),
    (206, 48, 46),
    (52, 104, 190),
    (232, 184, 54),
    (56, 134, 80),
    (214, 112, 40),
)
SHOES: tuple[Colour, ...] = (
    (32, 32, 34),
    (226, 224, 220),
    (112, 74, 46),
    (176, 44, 46),
    (60, 96, 170),
)
SKINS: tuple[Colour, ...] = (
    (236, 198, 170),
    (220, 174, 140),
    (188, 136, 100),
    (136, 92, 64),
    (92, 62, 46),
)
HAIRS: tuple[Colour, ...] = (
    (30, 26, 24),
    (74, 50, 34),
    (126, 86, 50),
    (206, 168, 98),
    (148, 146, 144),
)

PATTERNS = ("plain", "rows", "columns", "checks", "dots", "yoke", "logo", "print", "open", "sash")
PATTERN_WEIGHTS = (5, 3, 1, 2, 1, 2, 4, 2, 4, 1)


def rng_of(*keys: object) -> np.random.Generator:
    """A random generator that depends on the keys alone, never on what was drawn before.

    Args:
        keys: anything whose `str` is stable: the seed first, then names and numbers.
    """
    text = "/".join(str(key) for key in keys)
    return np.random.default_rng(
        int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")
    )


@dataclass(frozen=True)
class Identity:
    """The lasting appearance of one person; lengths are fractions of the body height."""

    height: float  # of the mean person
    girth: float  # of the mean width
    shoulders: float
    skin: Colour
    hair: Colour
    hair_style: str  # short, long, bun, bald
    hat: str  # none, cap, beanie
    glasses: bool
    top: Colour
    accent: Colour  # second colour of the top
    pattern: str
    bands: int  # how many stripes or cells the pattern has along the torso
    sleeve: str  # short, long, accent (long, in the accent's colour)
    hem: float  # where the top ends
    scarf: bool
    bottom_kind: str  # trousers, shorts, skirt
    bottom: Colour
    bottom_hem: float  # where shorts or a skirt end
    bottom_stripe: bool  # a stripe along the outer seam
    tights: bool
    belt: bool
    shoes: Colour
    boots: bool
    bag: str  # none, backpack, shoulder, hand
    bag_colour: Colour
    bag_side: int  # -1 or +1


def _weighted(rng: np.random.Generator, weights: Sequence[float]) -> int:
    bounds = np.cumsum(weights)
    return int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))


def _other_than(rng: np.random.Generator, colour: Colour) -> Colour:
    """An accent that is readable on `colour`."""
    far = [a for a in ACCENTS if sum(abs(x - y) for x, y in zip(a, colour)) > 140]
    return far[int(rng.integers(len(far)))]


def sample_identity(rng: np.random.Generator) -> Identity:
    """Draw one appearance."""
    top = list(TOP_COLOURS.values())[_weighted(rng, TOP_WEIGHTS)]
    bottom = list(BOTTOM_COLOURS.values())[_weighted(rng, BOTTOM_WEIGHTS)]
    bottom_kind = ("trousers", "shorts", "skirt")[_weighted(rng, (6, 2, 2))]
    hem = (0.515, 0.56, 0.70)[_weighted(rng, (5, 4, 2))]
    return Identity(
        height=float(rng.uniform(0.92, 1.06)),
        girth=float(rng.choice((0.86, 1.0, 1.2))),
        shoulders=float(rng.choice((0.92, 1.0, 1.08))),
        skin=SKINS[_weighted(rng, (3, 4, 3, 2, 2))],
        hair=HAIRS[_weighted(rng, (5, 4, 3, 2, 1))],
        hair_style=("short", "long", "bun", "bald")[_weighted(rng, (5, 4, 2, 1))],
        hat=("none", "cap", "beanie")[_weighted(rng, (7, 2, 1))],
        glasses=bool(rng.random() < 0.2),
        top=top,
        accent=_other_than(rng, top),
        pattern=PATTERNS[_weighted(rng, PATTERN_WEIGHTS)],
        bands=int(rng.choice((4, 6))),
        sleeve=("short", "long", "accent")[_weighted(rng, (4, 5, 1))],
        hem=hem,
        scarf=bool(rng.random() < 0.1),
        bottom_kind=bottom_kind,
        bottom=bottom,
        bottom_hem=float(
            rng.choice((0.66, 0.74) if bottom_kind == "shorts" else (0.66, 0.76, 0.86))
        ),
        bottom_stripe=bool(bottom_kind != "skirt" and rng.random() < 0.2),
        tights=bool(rng.random() < 0.4),
        belt=bool(rng.random() < 0.2),
        shoes=SHOES[_weighted(rng, (5, 4, 3, 1, 1))],
        boots=bool(rng.random() < 0.2),
        bag=("none", "backpack", "shoulder", "hand")[_weighted(rng, (4, 3, 2, 2))],
        bag_colour=ACCENTS[int(rng.integers(len(ACCENTS)))],
        bag_side=int(rng.choice((-1, 1))),
    )
