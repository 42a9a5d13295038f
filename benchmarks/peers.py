#!/usr/bin/env python3
"""The same images and the same network by stock FastReID, by plain PyTorch, and by ours.

200 queries and 1,000 gallery images of 200 drawn people, from files to Rank-1 and mAP: by the
global distance, which all three have, and by reconstruction, which FastReID's package has not. The
weights of the network are random, with the batch norms' statistics of drawn people.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fastreid.evaluation import inference_on_dataset
from PIL import Image
from torch import nn

from benchmarks import plain_pytorch
from benchmarks.bench import commit, report
from benchmarks.network import CONFIG, drawn_images, plain_network
from benchmarks.stock_fastreid import StockEvaluator, stock_config, stock_loader, stock_network
from partialreid.engine.configuration import setup_config
from partialreid.engine.evaluation_network import dtype_of, evaluation_network
from partialreid.engine.inference import build_evaluator, evaluate_model
from partialreid.runtime.freed_memory import keep_freed_memory
from partialreid.synthetic.images import whole_image

PEOPLE, GALLERY_SHOTS, ROUNDS, WORKERS = 200, 5, 3, 2
DISTANCES = ("global", "reconstruction")
STOCK, PLAIN = "stock FastReID", "plain PyTorch"
# What the plain way does, and no more.
AS_PLAIN = (
    *("TEST.DSR.SHORTLIST", "global", "TEST.DSR.LAMBDA_SELECTION", "fixed"),
    *("TEST.DSR.BOOTSTRAP_ROUNDS", 0),
)


class Timed(NamedTuple):
    """One evaluation: seconds of its two parts, those of processors too, and what it found.

    On a shared machine the seconds of processors say more: they do not count who else is there.
    """

    extraction: float
    evaluation: float
    extraction_work: float
    evaluation_work: float
    rank1: float
    mean_ap: float


Way = Callable[[], Timed]


def draw(folder: Path) -> None:
    """Draw the people as JPEG files: one query of each by one camera, the gallery by another."""
    for part, camera, shots in (("query", 0, 1), ("gallery", 1, GALLERY_SHOTS)):
        (folder / part).mkdir()
        for person in range(PEOPLE):
            for shot in range(shots):
                image = Image.fromarray(whole_image(0, person, camera, shot))
                name = f"{person:04d}_c{camera + 1}_{shot:02d}.jpg"
                image.save(folder / part / name, quality=95)


def listed(folder: Path) -> list[tuple[str, int, int]]:
    """Queries, then gallery: path, identity, camera."""
    files = [file for part in ("query", "gallery") for file in sorted((folder / part).iterdir())]
    return [(str(file), int(file.name[:4]), int(file.name[6])) for file in files]


def stock(cfg: Any, network: nn.Module, items: plain_pytorch.Items) -> Timed:
    """By FastReID's loop and evaluator."""
    return _clocked(
        StockEvaluator(cfg, PEOPLE),
        lambda evaluator: inference_on_dataset(network, stock_loader(cfg, items), evaluator),
    )


def ours(cfg: Any, network: nn.Module, name: str) -> Timed:
    """By `partialreid evaluate`, after the network is loaded."""
    loader, evaluator = build_evaluator(cfg, name)
    return _clocked(evaluator, lambda evaluator: evaluate_model(network, loader, evaluator))


def _clocked(evaluator: Any, run: Callable[[Any], Any]) -> Timed:
    extracted: list[np.ndarray] = []
    evaluate = evaluator.evaluate

    def watched() -> Any:
        extracted.append(_clocks())
        return evaluate()

    evaluator.evaluate = watched
    start = _clocks()
    results = run(evaluator)
    return _timed(start, extracted[0], (results["Rank-1"], results["mAP"]))


def _clocks() -> np.ndarray:
    """Seconds by the clock, and of processors by this process and its workers that have ended."""
    return np.array([time.perf_counter(), sum(os.times()[:4])])


def _timed(start: np.ndarray, extracted: np.ndarray, found: tuple[float, float]) -> Timed:
    first, second = extracted - start, _clocks() - extracted
    return Timed(first[0], second[0], first[1], second[1], *found)


def plain(cfg: Any, network: nn.Module, items: plain_pytorch.Items) -> Timed:
    """By loops; reconstructed and fused where the network gives columns."""
    dsr = cfg.TEST.DSR
    start = _clocks()
    features, *local = plain_pytorch.extract(
        network, items, cfg.INPUT.SIZE_TEST, cfg.TEST.IMS_PER_BATCH, WORKERS
    )
    extracted = _clocks()
    distance = plain_pytorch.global_distance(features, PEOPLE)
    if local:
        matched = plain_pytorch.reconstruction(distance, *local, dsr.TOPK, dsr.KAPPA)
        distance = (1 - dsr.LAMBDA) * distance + dsr.LAMBDA * matched
    return _timed(start, extracted, plain_pytorch.ranked(distance, items))


def rows(ways: dict[str, Way], rounds: int, images: int) -> list[dict[str, Any]]:
    """Medians of each way, all in turn in each round; the first is what others are measured by."""
    times: dict[str, list[Timed]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(way())
    medians = {name: Timed(*np.median(found, axis=0).tolist()) for name, found in times.items()}
    base = next(iter(medians.values()))
    return [
        {
            "way": name,
            "extraction, s": found.extraction,
            "images/s": images / found.extraction,
            "evaluation, s": found.evaluation,
            "times faster": _both(base) / _both(found),
            "extraction, processor s": found.extraction_work,
            "evaluation, processor s": found.evaluation_work,
            "times less work": _work(base) / _work(found),
            "Rank-1": found.rank1,
            "mAP": found.mean_ap,
        }
        for name, found in medians.items()
    ]


def _both(found: Timed) -> float:
    return found.extraction + found.evaluation


def _work(found: Timed) -> float:
    return found.extraction_work + found.evaluation_work


def with_keys(cfg: Any, *options: Any) -> Any:
    """A config with other values of some keys."""
    other = cfg.clone()
    other.defrost()
    other.merge_from_list(list(options))
    return other


def measure(folder: Path, distance: str, rounds: int, options: list[str]) -> list[dict[str, Any]]:
    """A row for each way.

    Args:
        folder: an empty one, for the images.
        distance: one of `DISTANCES`.
        rounds: of each way.
        options: config keys and values besides those of `CONFIG`.
    """
    draw(folder)
    items, name = listed(folder), f"folder:{folder}"
    own = ["MODEL.BACKBONE.PRETRAIN", "False", "INPUT.KEEP_RATIO", "off", "MODEL.DEVICE", "cpu"]
    own += ["DATASETS.TESTS", f"('{name}',)", "DATALOADER.NUM_WORKERS", str(WORKERS)]
    cfg = setup_config(argparse.Namespace(config_file=str(CONFIG), opts=[*own, *options]))
    keep_freed_memory()
    images = drawn_images(cfg, cfg.TEST.IMS_PER_BATCH)
    trained: Any = plain_network(cfg, "", images)
    alone = stock_config(cfg)
    baseline = stock_network(alone, trained.backbone)
    fast, half = (with_keys(alone, "MODEL.INFERENCE_DTYPE", d) for d in ("float32", "auto"))
    same, half_dsr = with_keys(cfg, *AS_PLAIN), with_keys(cfg, "MODEL.INFERENCE_DTYPE", "auto")
    folded = {id(c): evaluation_network(baseline, c) for c in (fast, half)}
    folded |= {id(c): evaluation_network(trained, c) for c in (same, cfg, half_dsr)}
    auto = f"ours, MODEL.INFERENCE_DTYPE auto ({dtype_of(folded[id(half)])})"

    with torch.inference_mode():
        # The first batch of a network takes longer than the others.
        for network in (baseline, trained, *folded.values()):
            network({"images": images})

    def way(config: Any) -> Way:
        return lambda: ours(config, folded[id(config)], name)

    alike = {
        STOCK: lambda: stock(alone, baseline, items),
        PLAIN: lambda: plain(alone, baseline, items),
        "ours": way(fast),
        auto: way(half),
    }
    reconstructed = {
        PLAIN: lambda: plain(cfg, trained, items),
        "ours, what plain PyTorch does": way(same),
        "ours": way(cfg),
        auto: way(half_dsr),
    }
    return rows(alike if distance == "global" else reconstructed, rounds, len(items))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--distance", choices=DISTANCES, help="one alone")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE")
    args = parser.parse_args(arguments)
    shapes = f"{PEOPLE} queries, {PEOPLE * GALLERY_SHOTS} gallery images"
    for distance in [args.distance] if args.distance else DISTANCES:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), distance, args.rounds, args.opts)
        report(f"peers_{distance}", f"{shapes}, {distance} distance", found, commit=commit())


if __name__ == "__main__":
    main()
