"""Blocks, memory, ragged images, shortlists and bad arguments of the reconstruction distance."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from partialreid.matching.reconstruction import (
    reconstruction_distance,
    reconstruction_distance_pairs,
    reconstruction_distance_topk,
)
from tests.reconstruction_oracle import features, oracle, weights_of


@pytest.mark.parametrize("memory_bytes", [1, 3000, 40_000, 1_000_000])
def test_blocks_equal_one_shot(memory_bytes: int) -> None:
    query, gallery = features(0, 13, 48, 17), features(1, 19, 48, 23)
    query[5] = gallery[7, :, :17]
    shortlist = torch.stack([torch.randperm(19)[:7] for _ in range(13)])
    options = {"weights": weights_of(2, 13, 17)}
    whole = reconstruction_distance(query, gallery, **options)
    blocks = reconstruction_distance(query, gallery, **options, memory_bytes=memory_bytes)
    torch.testing.assert_close(blocks, whole, atol=1e-6, rtol=0)
    some = reconstruction_distance_topk(
        query, gallery, shortlist, **options, memory_bytes=memory_bytes
    )
    torch.testing.assert_close(some, whole.gather(1, shortlist), atol=1e-6, rtol=0)


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of the storages that operations make, and the most alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive, self.peak = 0, 0
        self._seen: set[int] = set()

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.alive -= size

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        known = [x.untyped_storage()._cdata for x in args if isinstance(x, Tensor)]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                key, size = storage._cdata, storage.nbytes()
                if key not in known and key not in self._seen:
                    self._seen.add(key)
                    self.alive += size
                    weakref.finalize(storage, self._drop, key, size)
        self.peak = max(self.peak, self.alive)
        return out


@pytest.mark.parametrize("kilobytes", [400, 1000, 4000])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
def test_memory_is_bounded(
    kilobytes: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A mode counts what its own thread does: all of it, then. Several share the same bound.
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    query, gallery = features(0, 30, 128, 24).to(dtype), features(1, 40, 128, 24).to(dtype)
    gallery[:10] = query[:10]  # some galleries need the direct residual
    shortlist = torch.arange(10).expand(30, 10)
    # What is kept whole, and small: the result and its parts, weights and norms, the regrouping.
    whole = 4 * (3 * 30 * 40 + 4 * 30 * 24) + 6 * 8 * 30 * 10
    for run in (
        lambda bound: reconstruction_distance(query, gallery, memory_bytes=bound),
        lambda bound: reconstruction_distance_topk(query, gallery, shortlist, memory_bytes=bound),
    ):
        with PeakMemory() as memory:
            run(kilobytes * 1000)
        assert whole < memory.peak <= kilobytes * 1000 + whole


def test_ragged_images_equal_one_pair_at_a_time() -> None:
    sizes_q, sizes_g = [5, 17, 1, 9, 17], [8, 3, 21, 8, 1, 13]
    query = [features(i, 1, 40, n)[0] for i, n in enumerate(sizes_q)]
    gallery = [features(50 + i, 1, 40, m)[0] for i, m in enumerate(sizes_g)]
    query[3][:, :3] = gallery[1]
    weights = [weights_of(i, 1, n)[0] for i, n in enumerate(sizes_q)]
    shortlist = torch.tensor([[0, 2, 4], [5, 5, 1], [3, 2, 0], [1, 4, 2], [2, 1, 0]])
    for w in (weights, None):
        expected = oracle(query, gallery, w)
        for bound in (None, 1, 20_000):
            found = reconstruction_distance(query, gallery, w, memory_bytes=bound)
            torch.testing.assert_close(found.double(), expected, atol=5e-6, rtol=0)
            some = reconstruction_distance_topk(query, gallery, shortlist, w, memory_bytes=bound)
            torch.testing.assert_close(
                some.double(), expected.gather(1, shortlist), atol=5e-6, rtol=0
            )


def test_shortlist_of_everything_in_any_order() -> None:
    query, gallery = features(0, 6, 40, 11), features(1, 9, 40, 7)
    whole = reconstruction_distance(query, gallery)
    order = torch.stack([torch.randperm(9) for _ in range(6)])
    some = reconstruction_distance_topk(query, gallery, order)
    torch.testing.assert_close(some, whole.gather(1, order), atol=1e-6, rtol=0)
    one = reconstruction_distance_topk(query, gallery, torch.full((6, 4), 3))
    torch.testing.assert_close(one, whole[:, 3:4].expand(6, 4), atol=1e-6, rtol=0)


def test_empty_sets() -> None:
    query, gallery = features(0, 3, 16, 5), features(1, 4, 16, 5)
    assert reconstruction_distance(query[:0], gallery).shape == (0, 4)
    assert reconstruction_distance(query, gallery[:0]).shape == (3, 0)
    assert reconstruction_distance([], []).shape == (0, 0)
    assert reconstruction_distance([], gallery).shape == (0, 4)
    nothing = torch.empty(3, 0, dtype=torch.long)
    assert reconstruction_distance_topk(query, gallery, nothing).shape == (3, 0)
    assert reconstruction_distance_topk(query[:0], gallery, nothing[:0]).shape == (0, 0)
    # An image without columns reconstructs nothing, and nothing of it is left to explain.
    bare = [gallery[0], gallery[1][:, :0]]
    for some in (slice(0, 2), slice(1, 2)):
        found = reconstruction_distance(query, bare[some])
        torch.testing.assert_close(found[:, -1], torch.ones(3))
        assert reconstruction_distance(query[:, :, :0], bare[some]).abs().max() == 0
    listed = reconstruction_distance_topk(query, [*bare, *gallery], torch.tensor([[1], [1], [0]]))
    torch.testing.assert_close(listed[:2, 0], torch.ones(2))


def test_bad_arguments_are_named() -> None:
    query, gallery = features(0, 3, 16, 5), features(1, 4, 16, 5)
    broken = gallery.clone()
    broken[2, 3, 1] = float("nan")
    cases = [
        ("query columns must be", (query[0], gallery), {}),
        ("channels differ: query 16, gallery 8", (query, gallery[:, :8]), {}),
        ("gallery columns must be floating", (query, gallery.long()), {}),
        ("one C", ([query[0], query[1][:8]], gallery), {}),
        ("one dtype", ([query[0], query[1].half()], gallery), {}),
        ("kappa", (query, gallery), {"kappa": 0.0}),
        ("2 rows of weights for 3", (query, gallery, torch.ones(2, 5)), {}),
        ("query 0 has 5 columns", (query, gallery, torch.ones(3, 4)), {}),
        ("gallery columns of image 2", (query, broken), {}),
        ("gallery columns of image 2", (query, broken), {"memory_bytes": 1}),
        ("query columns of image 2", (broken, gallery), {}),
        ("query columns of image 0", (query.half() * 6e4 * 2, gallery), {}),
    ]
    for message, args, options in cases:
        with pytest.raises(ValueError, match=message):
            reconstruction_distance(*args, **options)
    for message, shortlist in (
        (r"\(3, K\)", torch.zeros(2, 4, dtype=torch.long)),
        ("integers", torch.zeros(3, 4)),
        ("0 to 3", torch.full((3, 2), 4)),
        ("0 to 3", torch.full((3, 2), -1)),
    ):
        with pytest.raises(ValueError, match=message):
            reconstruction_distance_topk(query, gallery, shortlist)


def test_pairs_are_entries_of_the_matrix() -> None:
    query, gallery = features(1, 5, 24, 6), features(2, 7, 24, 9)
    whole = reconstruction_distance(query, gallery)
    pairs = torch.tensor([[4, 0], [0, 6], [4, 0], [2, 3], [0, 0]])
    got = reconstruction_distance_pairs(query, gallery, pairs)
    torch.testing.assert_close(got, whole[pairs[:, 0], pairs[:, 1]], atol=1e-6, rtol=0)
    assert reconstruction_distance_pairs(query, gallery, pairs[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("pairs", "match"),
    [
        (torch.zeros(3, dtype=torch.long), r"\(P, 2\)"),
        (torch.zeros(3, 2), "integers"),
        (torch.tensor([[5, 0]]), "0 to 4 of queries"),
        (torch.tensor([[0, 7]]), "0 to 6 of galleries"),
        (torch.tensor([[-1, 0]]), "0 to 4"),
    ],
)
def test_pairs_that_do_not_exist(pairs: torch.Tensor, match: str) -> None:
    query, gallery = features(1, 5, 24, 6), features(2, 7, 24, 9)
    with pytest.raises(ValueError, match=match):
        reconstruction_distance_pairs(query, gallery, pairs)


def test_progress_is_tracked_over_all_blocks() -> None:
    query, gallery = features(1, 3, 24, 6), features(2, 9, 24, 6)
    seen: list[int] = []

    def track(blocks):
        for done, block in enumerate(blocks, 1):
            yield block
            seen.append(done)

    few = 8_000  # bytes: several blocks
    reconstruction_distance(query, gallery, memory_bytes=few, track=track)
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) > 1
