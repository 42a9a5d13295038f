"""A whole evaluation of made-up images, as many as Market-1501 has, by the evaluator itself.

A network's part is played by random numbers, drawn on the device batch by batch: a direction that
all columns share, a person's own, and noise. All else is what a real evaluation does: the columns
are stored within TEST.DSR.MEMORY_GB, the coarse shortlist, the exact distances, the choice of
lambda, the metrics.

Shapes: B images of a batch, C channels, N columns.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.bench import peak_device_gigabytes, peak_gigabytes
from partialreid.config import add_partialreid_config
from partialreid.dsr_evaluation import DsrEvaluator
from partialreid.engine.launching import launch
from partialreid.runtime.collectives import rank, world_size
from partialreid.runtime.device_clock import seconds_on

BATCH = 64
# Lengths of the directions beside noise of length 1 in each channel: a person is found again, so
# that rankings which are no better than chance would show a fault.
PERSON, SHARED = 0.35, 1.0


class Sizes(NamedTuple):
    """How many images are evaluated, and what each has."""

    queries: int
    galleries: int
    people: int
    channels: int
    columns: int


# With MobileNetV2 at 256 x 128.
MARKET = Sizes(queries=3368, galleries=15913, people=750, channels=1280, columns=70)


def config(device: str, *options: Any) -> Any:
    """The defaults of an evaluation, with columns in float16 and other keys."""
    from fastreid.config import get_cfg

    cfg = get_cfg()
    add_partialreid_config(cfg)
    cfg.merge_from_list(["TEST.DSR.STORAGE", "float16", *options])
    cfg.MODEL.DEVICE = device
    return cfg


def evaluate(cfg: Any, sizes: Sizes) -> tuple[DsrEvaluator, dict[str, float], dict[str, float]]:
    """Evaluate this process's part of the images.

    Returns:
        The evaluator, its results (on the main process), and seconds of both parts.
    """
    # Whole batches, whose numbers are the same whichever process draws them.
    batches = torch.arange(sizes.queries + sizes.galleries).split(BATCH)
    first, last = (len(batches) * place // world_size() for place in (rank(), rank() + 1))
    start = seconds_on(cfg.MODEL.DEVICE)
    evaluator = DsrEvaluator(cfg, sizes.queries, keep_distances=True)
    evaluator.reset()
    for images in batches[first:last]:
        inputs = {"targets": images % sizes.people, "camids": (images >= sizes.queries).long()}
        evaluator.process(inputs, _outputs(images, sizes, cfg.MODEL.DEVICE))
    drawn = seconds_on(cfg.MODEL.DEVICE)
    results = evaluator.evaluate()
    end = seconds_on(cfg.MODEL.DEVICE)
    seconds = {"drawing and storing": drawn - start, "evaluation": end - drawn}
    return evaluator, dict(results), {**seconds, "of it matching": evaluator.matching_seconds}


def _outputs(images: Tensor, sizes: Sizes, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """What a network might say of some images: features (B, C), columns (B, C, N), weights."""
    shape = (len(images), sizes.channels, sizes.columns)
    torch.manual_seed(0)
    shared = torch.randn(sizes.channels, 1, device=device)
    people = torch.randn(sizes.people, sizes.channels, device=device)
    person = PERSON * people[(images % sizes.people).to(device)]
    torch.manual_seed(1 + int(images[0]))
    features = person + torch.randn(shape[:2], device=device)
    noise = torch.randn(shape, device=device)
    columns = (SHARED * shared + person[:, :, None] + noise).relu()
    weights = F.normalize(torch.rand(shape[0], shape[2], device=device) + 0.01, p=1, dim=1)
    return features, columns, weights


def _process(folder: str, device: str, sizes: Sizes, options: tuple[Any, ...]) -> None:
    cfg = config(device, *options)
    cfg.OUTPUT_DIR = folder
    _, results, seconds = evaluate(cfg, sizes)
    if rank() == 0:
        said = {
            "images": sizes._asdict(),
            "processes": world_size(),
            "TEST.DSR.MEMORY_GB": cfg.TEST.DSR.MEMORY_GB,
            "TEST.DSR.SHORTLIST": cfg.TEST.DSR.SHORTLIST,
            "seconds": seconds,
            "peak GB of the main process": peak_gigabytes(),
            "peak GB on its device": peak_device_gigabytes(device),
            "results": results,
        }
        (Path(folder) / "evaluation.json").write_text(json.dumps(said))


def measure(
    device: str, sizes: Sizes = MARKET, processes: int = 1, options: tuple[Any, ...] = ()
) -> dict[str, Any]:
    """Time and memory of an evaluation on some processes of this machine, and what came out.

    Args:
        device: "cuda" or "cpu".
        sizes: how many images, of which size.
        processes: each draws and holds its part of the images.
        options: config keys and values.
    """
    with tempfile.TemporaryDirectory() as folder:
        launch(_process, device, processes, args=(folder, device, sizes, options))
        found: dict[str, Any] = json.loads((Path(folder) / "evaluation.json").read_text())
        return found
