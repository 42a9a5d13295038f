"""How much of the network's speed is left when images come from files? Reading in turn, by worker
processes, by threads, each against the network alone; and a process for each core against one.

Drawn people in files of Market-1501's size, through the evaluator's own loop, columns stored.
Without --weights the weights are random.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastreid.data.build import fast_batch_collator
from fastreid.utils import comm
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.bench import ROOT, commit, report, time_in_turn
from benchmarks.network import drawn_images, plain_network
from partialreid.data.keep_ratio import build_test_transform, keep_ratio_resize
from partialreid.data.loaders import ImageItems
from partialreid.data.read_ahead import ReadAhead
from partialreid.dsr_evaluation import DsrEvaluator
from partialreid.engine.configuration import setup_config
from partialreid.engine.evaluation_network import dtype_of, evaluation_network
from partialreid.engine.inference import extract
from partialreid.engine.launching import launch
from partialreid.runtime.collectives import rank, world_size
from partialreid.runtime.device_clock import seconds_on
from partialreid.runtime.freed_memory import keep_freed_memory
from partialreid.synthetic.images import whole_image

CONFIG = ROOT / "projects" / "PartialReID" / "configs" / "market_mobilenetv2.yml"
IMAGES, ROUNDS, WORKERS = 512, 5, 2
ALONE = "network alone, images in memory"
IN_TURN, PROCESSES, THREADS = "reading in turn", "reading by processes", "reading by threads"


def drawn_files(folder: Path, count: int) -> list[tuple[str, int, int]]:
    """Drawn people as JPEG files of 64 x 128: (path, identity, camera)."""
    items = []
    for person in range(count):
        path = folder / f"{person}.jpg"
        Image.fromarray(whole_image(0, person, 0, 0)).save(path, quality=90)
        items.append((str(path), person, 0))
    return items


def loaders(cfg: Any, items: Sequence[Any], threads: int = WORKERS) -> dict[str, Any]:
    """Ways to read the images, by name; processes as FastReID and this project did before."""
    dataset = ImageItems(items, build_test_transform(cfg, keep_ratio_resize(cfg)), relabel=False)
    numbers = [part.tolist() for part in torch.arange(len(items)).split(cfg.TEST.IMS_PER_BATCH)]
    return {
        IN_TURN: ReadAhead(dataset, numbers, 0),
        PROCESSES: DataLoader(
            dataset, batch_sampler=numbers, num_workers=WORKERS, collate_fn=fast_batch_collator
        ),
        THREADS: ReadAhead(dataset, numbers, threads),
    }


def measure(cfg: Any, model: nn.Module, items: Sequence[Any], rounds: int) -> list[dict[str, Any]]:
    """A row for each way to read, and one for the network alone, on as many images.

    Args:
        cfg: config, its device resolved.
        model: the network in evaluation.
        items: of the images.
        rounds: see `time_in_turn`.
    """
    images = drawn_images(cfg, cfg.TEST.IMS_PER_BATCH)
    evaluator = DsrEvaluator(cfg, len(items) // 2)

    def alone() -> None:
        with torch.inference_mode():
            for batch in torch.arange(len(items)).split(len(images)):
                model(images[: len(batch)])

    def extracting(loader: Any) -> Callable[[], None]:
        return lambda: extract(model, loader, evaluator)

    work: dict[str, Callable[[], None]] = {ALONE: alone}
    work |= {name: extracting(loader) for name, loader in loaders(cfg, items).items()}
    seconds = time_in_turn(work, rounds, cfg.MODEL.DEVICE)
    evaluator.close()
    return [
        {
            "what": name,
            "images/s": len(items) / found["median"],
            "from": len(items) / found["third quartile"],
            "to": len(items) / found["first quartile"],
            "of the network alone": seconds[ALONE]["median"] / found["median"],
        }
        for name, found in seconds.items()
    ]


def measure_processes(
    cfg: Any, weights: str, items: Sequence[Any], rounds: int, processes: int
) -> dict[str, Any]:
    """A row: images/s of some processes that share this one's threads and the images."""
    path = Path(cfg.OUTPUT_DIR) / "seconds.json"
    launch(_process, cfg.MODEL.DEVICE, processes, args=(cfg, weights, items, rounds, str(path)))
    seconds = json.loads(path.read_text())
    low, median, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    return {
        "what": f"{processes} processes",
        "images/s": len(items) / median,
        "from": len(items) / high,
        "to": len(items) / low,
    }


def _process(cfg: Any, weights: str, items: Sequence[Any], rounds: int, path: str) -> None:
    """One of the processes; the first writes the seconds of each round, from start to last end."""
    model = fast_network(cfg, weights)
    mine = items[rank() :: world_size()]
    threads = max(1, WORKERS // world_size())
    loader = loaders(cfg, mine, threads)[THREADS]
    evaluator = DsrEvaluator(cfg, len(mine) // 2)
    seconds = []
    for _ in range(rounds + 1):
        comm.synchronize()
        start = seconds_on(cfg.MODEL.DEVICE)
        extract(model, loader, evaluator)
        comm.synchronize()
        seconds.append(seconds_on(cfg.MODEL.DEVICE) - start)
    evaluator.close()
    if rank() == 0:
        Path(path).write_text(json.dumps(seconds[1:]))


def fast_network(cfg: Any, weights: str) -> nn.Module:
    """The network as an evaluation runs it."""
    if cfg.MODEL.DEVICE == "cpu":
        keep_freed_memory()
    images = drawn_images(cfg, cfg.TEST.IMS_PER_BATCH)
    return evaluation_network(plain_network(cfg, weights, images), cfg)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", default=str(CONFIG))
    parser.add_argument("--weights", default="", help="a checkpoint or a model file")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE")
    args = parser.parse_args(arguments)
    own = [*args.opts, "MODEL.BACKBONE.PRETRAIN", "False"]
    cfg = setup_config(argparse.Namespace(config_file=args.config_file, opts=own))
    model = fast_network(cfg, args.weights)
    with tempfile.TemporaryDirectory() as folder:
        cfg.defrost()
        cfg.OUTPUT_DIR = folder
        items = drawn_files(Path(folder), args.images)
        rows = measure(cfg, model, items, args.rounds)
        if cfg.MODEL.DEVICE == "cpu":
            for processes in sorted({1, torch.get_num_threads()}):
                rows.append(measure_processes(cfg, args.weights, items, args.rounds, processes))
    report(
        "extraction",
        f"{args.images} images of 64 x 128 in files, batches of {cfg.TEST.IMS_PER_BATCH}, "
        f"{cfg.MODEL.BACKBONE.NAME} at {cfg.INPUT.SIZE_TEST} in {dtype_of(model)} on "
        f"{cfg.MODEL.DEVICE}",
        rows,
        workers=WORKERS,
        commit=commit(),
    )


if __name__ == "__main__":
    main()
