"""Random numbers that a name decides."""

from __future__ import annotations

from collections import Counter

import numpy as np

from partialreid.images.random_numbers import HashRng, pick


def test_hash_rng_is_uniform_and_keyed() -> None:
    draws = HashRng("key", 1).random((100, 100))
    assert draws.dtype == np.float64
    assert draws.min() >= 0 and draws.max() < 1
    # mean of 10^4 uniform numbers within five standard deviations, and ten equal bins
    assert abs(draws.mean() - 0.5) < 5 / 12**0.5 / 100
    counts = np.histogram(draws, 10, (0, 1))[0]
    assert np.abs(counts - 1000).max() < 5 * 30
    rng = HashRng("key", 1)
    assert [rng.random() for _ in range(3)] != [rng.random() for _ in range(3)]
    assert isinstance(rng.random(), float)
    # "1", "23" and "12", "3" are two keys.
    assert HashRng(1, 23).random() != HashRng(12, 3).random()
    # The bits of shake_256 of call number and key: a change would silently change made data sets.
    expected = [0.8987644939915722, 0.4763618997743312]
    assert HashRng(0, "occluded", "a.jpg").random(2).tolist() == expected


def test_pick_reaches_every_choice() -> None:
    rng = HashRng("pick")
    assert set(Counter(pick(rng, "abc") for _ in range(60))) == set("abc")
