#!/usr/bin/env python3
"""How long does a pair take, and how exact is it?

The original's loop, ours over all pairs, ours over a shortlist, and the bare matrix products of the
same shapes, in turn on the same inputs; then the largest error against a solve in float64.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.bench import no_options, peak_gigabytes, report, time_in_turn
from benchmarks.original_loop import original_loop
from partialreid.matching.reconstruction import (
    reconstruction_distance,
    reconstruction_distance_topk,
)
from tests.reconstruction_oracle import features, oracle, weights_of

# Channels and columns: ResNet-50 at 384 x 128, MobileNetV2 at 256 x 128.
SHAPES = {"2048 channels, 110 columns": (2048, 110), "1280 channels, 70 columns": (1280, 70)}
QUERIES, GALLERIES, SHORTLIST, LOOPED = 100, 200, 50, 4
ORACLE = (6, 8)


def main() -> None:
    for found in measure("cpu"):
        channels, columns = found["channels"], found["columns"]
        report(
            f"distances_{channels}x{columns}",
            f"{found['shape']}, {QUERIES} queries, {GALLERIES} galleries, "
            f"shortlists of {SHORTLIST}",
            found["rows"],
            errors=found["errors"],
            peak_memory_gb=round(peak_gigabytes(), 2),
        )


def measure(device: str, scale: int = 1) -> list[dict[str, Any]]:
    """Times and errors for each of SHAPES, all in float32.

    Args:
        device: where the columns lie.
        scale: so many times QUERIES and GALLERIES, as a GPU needs more work to be busy.
    """
    return [
        {
            "shape": name,
            "channels": channels,
            "columns": columns,
            "queries": scale * QUERIES,
            "galleries": scale * GALLERIES,
            **_measured(device, scale, channels, columns),
        }
        for name, (channels, columns) in SHAPES.items()
    ]


def _measured(device: str, scale: int, channels: int, columns: int) -> dict[str, Any]:
    queries, galleries = scale * QUERIES, scale * GALLERIES
    query, gallery = (
        features(seed, images, channels, columns).to(device)
        for seed, images in ((1, queries), (2, galleries))
    )
    weights = weights_of(3, queries, columns).to(device)
    generator = torch.Generator().manual_seed(4)
    shortlist = torch.rand(queries, galleries, generator=generator).argsort(1)[:, :SHORTLIST]
    # The matrix product that each pair needs at least: M x C times C x N, all at once.
    left = gallery.transpose(1, 2).reshape(-1, channels).contiguous()
    right = query.permute(1, 0, 2).reshape(channels, -1).contiguous()
    # In blocks, as one product of all shapes would spend its time in the memory of its result.
    product = torch.empty(8 * scale * columns, right.shape[1], device=device)

    def bare() -> None:
        for part in left.split(len(product)):
            torch.mm(part, right, out=product[: len(part)])

    looped = query[:LOOPED], gallery, weights[:LOOPED], shortlist[:LOOPED]
    work = {
        "bare matrix products": bare,
        "ours, all pairs": lambda: reconstruction_distance(query, gallery, weights),
        "ours, shortlist": lambda: reconstruction_distance_topk(query, gallery, shortlist, weights),
        "original's loop": lambda: original_loop(*looped),
    }
    pairs = {
        "bare matrix products": queries * galleries,
        "ours, all pairs": queries * galleries,
        "ours, shortlist": queries * SHORTLIST,
        "original's loop": LOOPED * SHORTLIST,
    }
    times = time_in_turn(work, device=device)
    per_pair = {key: times[key]["median"] / pairs[key] * 1e3 for key in work}
    rows = [
        {
            "computation": key,
            "pairs": pairs[key],
            "ms per pair": per_pair[key],
            "first quartile": times[key]["first quartile"] / pairs[key] * 1e3,
            "third quartile": times[key]["third quartile"] / pairs[key] * 1e3,
            "times bare product": per_pair[key] / per_pair["bare matrix products"],
            "times faster than original": per_pair["original's loop"] / per_pair[key],
        }
        for key in work
    ]
    return {"rows": rows, "errors": errors(query, gallery, weights)}


def errors(query: torch.Tensor, gallery: torch.Tensor, weights: torch.Tensor) -> dict[str, float]:
    """Largest difference from float64, for random images and for a gallery with copies."""
    queries, galleries = ORACLE
    query, weights, gallery = query[:queries], weights[:queries], gallery[:galleries].clone()
    found = {}
    for case in ("random images", "copies of queries in the gallery"):
        wanted = oracle(query.cpu(), gallery.cpu(), weights.cpu())
        got = reconstruction_distance(query, gallery, weights).cpu().double()
        found[case] = float((got - wanted).abs().max())
        every = torch.arange(galleries).expand(queries, -1)
        loop = original_loop(query, gallery, weights, every).cpu().double()
        found[f"{case}, original's loop"] = float((loop - wanted).abs().max())
        gallery[1], gallery[4] = query[0], query[3]
    return found


if __name__ == "__main__":
    no_options(__doc__)
    main()
