"""Small evaluations for any device: what a model says of a few images, and the settings to try.

Shapes: C channels, N columns.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psutil
import pytest
import torch
from torch import Tensor

import partialreid
from partialreid.dsr_evaluation import DsrEvaluator
from tests.pairwise import pairwise
from tests.standin.gpu import StandInGpu, standin_gpu

QUERIES, IMAGES, PEOPLE, CHANNELS = 5, 24, 4, 24
BATCH = 7
# All combinations of these are evaluated by one process of a GPU.
IN_PRODUCT: dict[str, tuple[Any, ...]] = {
    "TEST.DSR.SHORTLIST": ("coarse", "global", "none"),
    "TEST.DSR.CODES": ("ridge", "lasso"),
    "TEST.DSR.STORAGE": ("float32", "float64", "float16", "bfloat16"),
    "TEST.METRIC": ("cosine", "euclidean"),
    "TEST.RERANK.ENABLED": (False, True),
    "TEST.ROC.ENABLED": (False, True),
    "TEST.DSR.PROTOCOL": ("full", "single-shot"),
}
# Each pair of values of two settings occurs in one of the evaluations.
SETTINGS = pairwise(
    {
        **IN_PRODUCT,
        # So few images are all reconstructed on any device.
        "TEST.DSR.SHORTLIST": (*IN_PRODUCT["TEST.DSR.SHORTLIST"], "auto"),
        "TEST.DSR.SQUARED": (False, True),
        "TEST.DSR.LAMBDA_SELECTION": ("crossfit", "fixed", "oracle"),
        "TEST.AQE.ENABLED": (False, True),
        # Of the second the columns of 14 images or fewer; the others are read from a file. Less
        # would leave no room for re-ranking.
        "TEST.DSR.MEMORY_GB": (1.0, 5.5e-6),
        "ragged": (False, True),
    }
)
EVERY = [{"TEST.DSR.ENABLED": False, "ragged": False}, *SETTINGS]


def name_of(settings: dict[str, Any]) -> str:
    """The values of a combination of settings, for the name of a test."""
    names = {True: "yes", False: "no"}
    return " ".join(names[v] if isinstance(v, bool) else str(v) for v in settings.values())


def config(device: str, settings: dict[str, Any]) -> Any:
    """A config with a few of `SETTINGS`, its device past the checks of the command line."""
    from fastreid.config import get_cfg

    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    small = ["TEST.DSR.TOPK", 4, "TEST.DSR.COARSE.DIMENSIONS", 8, "TEST.DSR.BOOTSTRAP_ROUNDS", 20]
    # So large a beta takes few steps.
    small += ["TEST.DSR.LASSO_BETA", 1.5]
    small += ["TEST.AQE.QE_K", 3, "TEST.AQE.ALPHA", 2.0, "TEST.RERANK.K1", 6, "TEST.RERANK.K2", 2]
    small += ["TEST.DSR.SINGLE_SHOT_ROUNDS", 3, "TEST.DSR.LAMBDA_STEP", 0.1]
    keys = {key: value for key, value in settings.items() if key.startswith("TEST.")}
    cfg.merge_from_list(small + [part for pair in keys.items() for part in pair])
    cfg.MODEL.DEVICE = device
    return cfg


def outputs(image: int, ragged: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Feature (C,), columns (C, N) and weights (N,) of one image, like its person's."""
    person = torch.Generator().manual_seed(image % PEOPLE)
    own = torch.Generator().manual_seed(100 + image)
    count = 5 + image // BATCH % 3 if ragged else 6
    features = torch.randn(CHANNELS, generator=person) + torch.randn(CHANNELS, generator=own)
    columns = torch.rand(CHANNELS, 8, generator=person)[:, :count] + torch.rand(
        CHANNELS, count, generator=own
    )
    weights = torch.rand(count, generator=own)
    return features, columns, weights / weights.sum()


def evaluated(
    device: str, settings: dict[str, Any], images: range = range(IMAGES)
) -> tuple[DsrEvaluator, dict[str, float]]:
    """An evaluator after its evaluation, and the results.

    Args:
        device: MODEL.DEVICE; where the model's outputs lie as well.
        settings: keys and values, and whether images have different numbers of columns.
        images: those of this process, the first QUERIES of all are the queries.
    """
    evaluator = DsrEvaluator(config(device, settings), QUERIES, keep_distances=True)
    evaluator.reset()
    numbers = torch.tensor(list(images))
    # Images of a batch have one size, those of another batch may have another.
    for batch in numbers.split(1 if settings["ragged"] else BATCH):
        said = zip(*(outputs(int(image), settings["ragged"]) for image in batch), strict=True)
        inputs = {"targets": batch % PEOPLE, "camids": (batch >= QUERIES).long()}
        evaluator.process(inputs, tuple(torch.stack(part).to(device) for part in said))
    return evaluator, evaluator.evaluate()


def evaluate_half(folder: str, device: str) -> None:
    """One of two processes: evaluates its part of the images in every setting.

    The main one saves distances and results in `folder`. Both refuse a re-ranking for which the
    main one has no room.
    """
    first = torch.distributed.get_rank() == 0
    # Uneven, and a query among the images of the second.
    images = range(QUERIES - 1) if first else range(QUERIES - 1, IMAGES)
    found = []
    with standin_gpu() if device == StandInGpu.name else contextlib.nullcontext():
        for settings in EVERY:
            evaluator, results = evaluated(device, settings, images)
            found.append((evaluator.distances, dict(results)))
        free = SimpleNamespace(available=1e4 if first else 1e12)
        with (
            mock.patch.object(psutil, "virtual_memory", lambda: free),
            pytest.raises(ValueError, match="comparing all 24 images"),
        ):
            evaluated(device, {"TEST.RERANK.ENABLED": True, "ragged": False}, images)
    if first:
        torch.save(found, Path(folder) / "found.pt")


def check_halves(folder: Path, tolerance: float) -> None:
    """Compare what two processes have saved with one process on the CPU."""
    found = torch.load(folder / "found.pt")
    for settings, (distances, results) in zip(EVERY, found, strict=True):
        expected, expected_results = evaluated("cpu", settings)
        check_distances(distances, expected.distances, tolerance)
        assert results.keys() == expected_results.keys()


def check_distances(
    got: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float, images: int = IMAGES
) -> None:
    """Compare the distances of two evaluators."""
    assert set(got) == set(expected)
    for name, distance in got.items():
        assert distance.shape == (QUERIES, images - QUERIES)
        assert distance.device == torch.device("cpu")
        torch.testing.assert_close(distance, expected[name], atol=tolerance, rtol=0)
