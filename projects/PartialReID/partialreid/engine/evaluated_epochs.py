"""What a training remembers of its evaluations, in last_evaluation.json of OUTPUT_DIR.

An epoch is saved before it is evaluated. A resumed run learns here whether the evaluation was still
made, and which metric was the best. What model_best.pth says may be of an earlier training in the
same folder.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import NamedTuple

import torch

from ..runtime.files import whole_file, write_json
from .checkpoint import read_checkpoint

FILE = "last_evaluation.json"


class Evaluated(NamedTuple):
    """How far the evaluations of a training have come.

    Attributes:
        epoch: the last one that was evaluated, from 0; -1 before the first evaluation.
        best_metric: the largest metric so far, that of model_best.pth; -1 before the first one.
    """

    epoch: int = -1
    best_metric: float = -1.0


def read_evaluated(folder: str) -> Evaluated:
    """What a run that is resumed has evaluated so far.

    Of a run that an older version of this package began, model_best.pth tells the best metric, and
    nothing tells the epoch.

    Raises:
        ValueError: the file is not what a training wrote.
    """
    path = os.path.join(folder, FILE)
    best = os.path.join(folder, "model_best.pth")
    if os.path.isfile(path):
        try:
            with open(path, encoding="utf-8") as file:
                return Evaluated(**json.load(file))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f'--resume: "{path}" is not what a training has written there: remove it.'
            ) from error
    if os.path.isfile(best):
        return Evaluated(best_metric=read_checkpoint(best).get("best_metric", -1.0))
    return Evaluated()


def write_evaluated(folder: str, evaluated: Evaluated) -> None:
    """Note how far the evaluations have come; without a folder nothing is kept."""
    if folder:
        write_json(os.path.join(folder, FILE), evaluated._asdict())


def begin_anew(folder: str) -> None:
    """Let no later --resume take what an earlier training has left in the folder for this one's.

    Its checkpoints stay until they are written over; only the file that names the last of them
    goes. An interruption before the first checkpoint thus leaves nothing to go on from.
    """
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(folder, "last_checkpoint"))
    write_evaluated(folder, Evaluated())


def keep_checkpoint(path: str, metric: float, before: Evaluated) -> Evaluated:
    """Note the evaluation of a checkpoint that its own run did not come to.

    Args:
        path: of the checkpoint. It is copied to model_best.pth beside it if it is the best so far,
            with the optimizer and the config that it was trained with.
        metric: of its evaluation.
        before: what its run had evaluated.

    Returns:
        What it has evaluated now.

    Raises:
        ValueError: as `read_checkpoint`.
        OSError: there is no room.
    """
    folder, data = os.path.dirname(path), read_checkpoint(path)
    best = max(metric, before.best_metric)
    if metric > before.best_metric:
        with whole_file(os.path.join(folder, "model_best.pth")) as file:
            torch.save({**data, "best_metric": best}, file)
    now = Evaluated(data["epoch"], best)
    write_evaluated(folder, now)
    return now
