"""Fewer windows in the gallery: as if the other columns were not there, and queries keep all."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from benchmarks.gallery_windows import WAYS, Thinned
from partialreid import reconstruction_distance
from partialreid.matching.pyramid import pyramid_columns
from tests.reconstruction_oracle import oracle
from tests.test_query_weights import KERNELS, Drawn


def test_columns_of_other_windows_count_for_nothing() -> None:
    """Zeros in place of columns give the distances of a gallery without them."""
    torch.manual_seed(0)
    maps = torch.randn(2, 128, 16, 8)
    columns, counts = pyramid_columns(maps, KERNELS)[0], []
    for kernel in KERNELS:
        counts.append(pyramid_columns(maps, (kernel,))[0].shape[2])
    outputs = (torch.randn(2, 5), columns, torch.rand(2, columns.shape[2]))
    batch = {"images": torch.zeros(2, 3, 256, 128), "img_paths": ["query.jpg", "gallery.jpg"]}
    spans = columns.split(counts, dim=2)
    query = F.normalize(columns[:1].double(), dim=1)
    weights = outputs[2][:1].double()
    found = {}
    for way, sides in WAYS.items():
        features, thinned, same = Thinned(Drawn(outputs), sides, {"gallery.jpg"}, KERNELS, 2)(batch)
        assert features is outputs[0] and same is outputs[2]
        assert torch.equal(thinned[0], columns[0])
        kept = torch.cat(
            [x[1:] for x, side in zip(spans, KERNELS, strict=True) if side in sides], 2
        )
        by_hand = oracle(query, F.normalize(kept.double(), dim=1), weights)
        gallery = F.normalize(thinned[1:].double(), dim=1)
        found[way] = reconstruction_distance(query, gallery, weights)
        torch.testing.assert_close(found[way], by_hand, atol=1e-10, rtol=0)
    # Each of the ways is another one.
    assert len({round(float(distance), 6) for distance in found.values()}) == len(WAYS)
