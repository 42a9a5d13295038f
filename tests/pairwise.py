"""Few combinations of many settings, with every two values of two settings together in one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any


def pairwise(settings: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Combinations in which each pair of values of two settings occurs.

    Greedy: each new combination starts with a pair that is missing, and takes for every further
    setting the value that brings the most missing pairs with what it holds already.

    Args:
        settings: the values of each setting, by name.
    """
    names = list(settings)
    missing = {
        ((a, i), (b, j))
        for a, b in itertools.combinations(names, 2)
        for i, j in itertools.product(range(len(settings[a])), range(len(settings[b])))
    }
    found = []
    while missing:
        chosen = dict(min(missing, key=lambda pair: [(names.index(n), i) for n, i in pair]))
        for name in names:
            if name not in chosen:
                gains = [
                    len(_pairs({**chosen, name: value}, names) & missing)
                    for value in range(len(settings[name]))
                ]
                chosen[name] = gains.index(max(gains))
        missing -= _pairs(chosen, names)
        found.append({name: settings[name][chosen[name]] for name in names})
    return found


def _pairs(chosen: Mapping[str, int], names: Sequence[str]) -> set[Any]:
    taken = [(name, chosen[name]) for name in names if name in chosen]
    return set(itertools.combinations(taken, 2))
